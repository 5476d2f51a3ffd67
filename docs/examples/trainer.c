/* SPDX-License-Identifier: Apache-2.0 */
/* A trainer that survives: a bigram model of characters, trained by plain gradient descent on the
 * bytes of a text file, checkpointed with ckptd. docs/c-api.md walks through it.
 *
 *     ckpt-example-trainer --run hello --steps 200 --save-every 20 FILE
 *
 * Kill it, or its whole node, and start it again: it goes on where the newest
 * consistent checkpoint is, with the numbers it would have had. Each rank reads its own part of the
 * file; ranks do not average their models here, as that needs a communication library.
 *
 * In a Slurm job it takes its run and rank from the environment. At SIGTERM (a time limit,
 * scancel, preemption) it saves once more and ends.
 *
 * Needs nothing of ckptd but the public header. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ckpt/ckpt.h>

#define SYMBOLS 128 /* 7-bit characters; others count as 0 */
#define BATCH 512   /* characters a step */
#define MOMENTUM 0.9f
#define TERM_WAIT_MS 5000 /* below Slurm's KillWait of 30 s */

struct settings {
    struct ckpt_options options;
    uint64_t steps;
    uint64_t save_every;
    uint64_t load_step; /* or CKPT_STEP_LATEST */
    uint32_t load_ms;
    uint32_t wait_ms; /* 0: does not wait for a checkpoint to be consistent */
    uint32_t pause_ms;
    const char *file;
};

/* All that a restart needs, and nothing else. */
struct model {
    float weights[SYMBOLS][SYMBOLS]; /* score of the second character after the first */
    float velocity[SYMBOLS][SYMBOLS];
    uint64_t position; /* in the text: the data loader's state */
    uint64_t step;
};

struct text {
    uint8_t *bytes;
    uint64_t count;
};

static volatile sig_atomic_t asked_to_end;

static void on_term(int number)
{
    (void)number;
    asked_to_end = 1;
}

/* ---- the model ---- */

static float train_pair(struct model *model, float gradient[SYMBOLS][SYMBOLS], uint8_t first,
                        uint8_t second)
{
    float *scores = model->weights[first];
    float most = scores[0];
    float sum = 0;
    float share[SYMBOLS];
    for (int i = 1; i < SYMBOLS; i++) {
        most = scores[i] > most ? scores[i] : most;
    }
    for (int i = 0; i < SYMBOLS; i++) {
        share[i] = expf(scores[i] - most);
        sum += share[i];
    }
    for (int i = 0; i < SYMBOLS; i++) {
        gradient[first][i] += share[i] / sum - (i == second ? 1.0f : 0.0f);
    }
    return logf(sum) - (scores[second] - most);
}

/* One step; returns the loss in nats a character. */
static float train(struct model *model, const struct text *text)
{
    static float gradient[SYMBOLS][SYMBOLS];
    float loss = 0;
    memset(gradient, 0, sizeof(gradient));
    for (int i = 0; i < BATCH; i++) {
        uint8_t first = text->bytes[model->position];
        model->position = (model->position + 1) % text->count;
        uint8_t second = text->bytes[model->position];
        loss +=
            train_pair(model, gradient, first < SYMBOLS ? first : 0, second < SYMBOLS ? second : 0);
    }
    for (int i = 0; i < SYMBOLS; i++) {
        for (int j = 0; j < SYMBOLS; j++) {
            model->velocity[i][j] = MOMENTUM * model->velocity[i][j] - gradient[i][j] / BATCH;
            model->weights[i][j] += model->velocity[i][j];
        }
    }
    model->step++;
    return loss / BATCH;
}

/* ---- what is saved ---- */

#define TENSORS 4

static void describe(struct model *model, struct ckpt_tensor tensors[TENSORS])
{
    const struct ckpt_tensor table[TENSORS] = {
        {"model/weights",
         CKPT_DTYPE_F32,
         2,
         {SYMBOLS, SYMBOLS},
         model->weights,
         sizeof(model->weights)},
        {"optimizer/velocity",
         CKPT_DTYPE_F32,
         2,
         {SYMBOLS, SYMBOLS},
         model->velocity,
         sizeof(model->velocity)},
        {"loader/position", CKPT_DTYPE_U64, 0, {0}, &model->position, sizeof(model->position)},
        {"trainer/step", CKPT_DTYPE_U64, 0, {0}, &model->step, sizeof(model->step)},
    };
    memcpy(tensors, table, sizeof(table));
}

/* FNV-1a of all that is saved: equal states print equal sums. */
static uint64_t sum(const struct model *model)
{
    const unsigned char *bytes = (const unsigned char *)model;
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < sizeof(*model); i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

static double now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* A save that fails costs its line in the log: training goes on. What is saved is said before: who
 * is killed in the midst of it may have saved it nevertheless. */
static void save(struct ckpt *ckpt, struct model *model, uint32_t wait_ms)
{
    struct ckpt_tensor tensors[TENSORS];
    const struct ckpt_metadata metadata = {"trainer", "ckpt-example-trainer"};
    printf(" sum=%016" PRIx64 "\n", sum(model));
    (void)fflush(stdout);
    describe(model, tensors);
    double begin = now_ms();
    enum ckpt_status status = ckpt_save(ckpt, model->step, tensors, TENSORS, &metadata, 1);
    double stall = now_ms() - begin;
    if (status != CKPT_OK) {
        printf("save of step=%" PRIu64 ": %s (%s)", model->step, ckpt_status_name(status),
               ckpt_reason(ckpt));
        return;
    }
    printf("saved step=%" PRIu64 " stall_ms=%.3f", model->step, stall);
    if (wait_ms > 0) {
        status = ckpt_wait(ckpt, model->step, wait_ms);
        printf(" %s after_ms=%.1f", status == CKPT_OK ? "consistent" : ckpt_status_name(status),
               now_ms() - begin);
        if (status != CKPT_OK) {
            printf(" (%s)", ckpt_reason(ckpt));
        }
    }
}

/* ---- what is loaded ---- */

static bool take(const struct ckpt_shard *shard, const struct ckpt_tensor *tensor)
{
    struct ckpt_tensor found;
    if (ckpt_find(shard, tensor->name, &found) != CKPT_OK || found.dtype != tensor->dtype ||
        found.bytes != tensor->bytes) {
        fprintf(stderr, "the checkpoint's %s is missing or of another shape\n", tensor->name);
        return false;
    }
    /* The model goes on changing, so it is copied; who only reads may use found.data as it is. */
    memcpy((void *)(uintptr_t)tensor->data, found.data, found.bytes);
    return true;
}

/* False when there is a checkpoint that cannot be read, as starting anew would then be wrong. */
static bool load(struct ckpt *ckpt, const struct settings *settings, struct model *model)
{
    struct ckpt_shard shard;
    double begin = now_ms();
    enum ckpt_status status = ckpt_load(ckpt, settings->load_step, settings->load_ms, &shard);
    if (status == CKPT_ERR_NO_CHECKPOINT && settings->load_step == CKPT_STEP_LATEST) {
        printf("no checkpoint: starting from the beginning\n");
        return true;
    }
    if (status != CKPT_OK) {
        fprintf(stderr, "load: %s: %s\n", ckpt_status_name(status), ckpt_reason(ckpt));
        return false;
    }
    struct ckpt_tensor tensors[TENSORS];
    bool good = true;
    describe(model, tensors);
    for (int i = 0; i < TENSORS && good; i++) {
        good = take(&shard, &tensors[i]);
    }
    printf("loaded step=%" PRIu64 " of attempt=%" PRIu32 " sum=%016" PRIx64 " load_ms=%.1f\n",
           shard.step, shard.attempt, good ? sum(model) : 0, now_ms() - begin);
    (void)fflush(stdout);
    ckpt_unload(ckpt, &shard);
    return good;
}

/* ---- the program ---- */

static bool read_text(const struct settings *settings, struct text *text_out)
{
    FILE *file = fopen(settings->file, "rbe");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fprintf(stderr, "%s: %s\n", settings->file, strerror(errno));
        return false;
    }
    long bytes = ftell(file);
    long part = bytes / (long)settings->options.world;
    uint8_t *memory = part >= 2 ? malloc((size_t)part) : NULL;
    bool good = memory != NULL && fseek(file, part * (long)settings->options.rank, SEEK_SET) == 0 &&
                fread(memory, 1, (size_t)part, file) == (size_t)part;
    (void)fclose(file);
    if (!good) {
        fprintf(stderr, "%s: needs two bytes a rank that can be read\n", settings->file);
        free(memory);
        return false;
    }
    *text_out = (struct text){memory, (uint64_t)part};
    return true;
}

static void run(struct ckpt *ckpt, const struct settings *settings, struct model *model,
                const struct text *text)
{
    const struct timespec pause = {.tv_sec = settings->pause_ms / 1000,
                                   .tv_nsec = (long)(settings->pause_ms % 1000) * 1000000};
    while (model->step < settings->steps && !asked_to_end) {
        float loss = train(model, text);
        printf("step=%" PRIu64 " loss=%.6f", model->step, (double)loss);
        if (settings->save_every > 0 && model->step % settings->save_every == 0) {
            save(ckpt, model, settings->wait_ms);
        }
        printf("\n");
        (void)fflush(stdout);
        (void)nanosleep(&pause, NULL);
    }
    if (asked_to_end) {
        bool is_saved = settings->save_every > 0 && model->step % settings->save_every == 0;
        printf("asked to end at step=%" PRIu64 "\n", model->step);
        (void)fflush(stdout); /* SIGKILL may come while it waits */
        if (!is_saved) {
            printf("last step=%" PRIu64, model->step);
            save(ckpt, model, TERM_WAIT_MS);
            printf("\n");
        }
        (void)fflush(stdout);
    }
}

static const char page[] =
    "Usage: ckpt-example-trainer [OPTION]... FILE\n"
    "\n"
    "Trains a bigram model of characters on FILE, saving checkpoints with ckptd and\n"
    "going on from the newest consistent one.\n"
    "\n"
    "  --run NAME        the run (default: $CKPT_RUN, example)\n"
    "  --attempt N       must rise with each start of the run (default: $CKPT_ATTEMPT, or 0:\n"
    "                    the coordinator counts the starts)\n"
    "  --rank N          (default: $SLURM_PROCID, 0)\n"
    "  --world N         (default: $SLURM_NTASKS, 1)\n"
    "  --copies N        copies of each shard, this node's included (default: the agent's)\n"
    "  --socket PATH     the agent's socket (default: $CKPT_SOCKET, /run/ckptd/ckptd.sock)\n"
    "  --steps N         the last step (default: 100)\n"
    "  --save-every N    (default: 10; 0: never)\n"
    "  --wait-ms N       after a save, wait so long that it is consistent (default: 0)\n"
    "  --load-step N     start from this step, not from the newest\n"
    "  --load-ms N       bound of the load (default: 60000)\n"
    "  --pause-ms N      sleep after each step (default: 0)\n"
    "  --help, --version\n";

static bool number(const char *name, const char *text, uint64_t most, uint64_t *number_out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value > most) {
        fprintf(stderr, "--%s %s: a number from 0 to %" PRIu64 " is wanted\n", name, text, most);
        return false;
    }
    *number_out = value;
    return true;
}

enum flag {
    HELP = 'h',
    VERSION = 'V',
    RUN = 1,
    SOCKET,
    ATTEMPT,
    RANK,
    WORLD,
    COPIES,
    STEPS,
    SAVE_EVERY,
    WAIT_MS,
    LOAD_STEP,
    LOAD_MS,
    PAUSE_MS
};

static const struct option flags[] = {
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {"run", required_argument, NULL, RUN},
    {"socket", required_argument, NULL, SOCKET},
    {"attempt", required_argument, NULL, ATTEMPT},
    {"rank", required_argument, NULL, RANK},
    {"world", required_argument, NULL, WORLD},
    {"copies", required_argument, NULL, COPIES},
    {"steps", required_argument, NULL, STEPS},
    {"save-every", required_argument, NULL, SAVE_EVERY},
    {"wait-ms", required_argument, NULL, WAIT_MS},
    {"load-step", required_argument, NULL, LOAD_STEP},
    {"load-ms", required_argument, NULL, LOAD_MS},
    {"pause-ms", required_argument, NULL, PAUSE_MS},
    {NULL, 0, NULL, 0},
};

static bool set_number(struct settings *settings, int flag, uint64_t value)
{
    uint32_t small = (uint32_t)value;
    switch (flag) {
    case ATTEMPT:
        settings->options.attempt = small;
        return true;
    case RANK:
        settings->options.rank = small;
        return true;
    case WORLD:
        settings->options.world = small;
        return true;
    case COPIES:
        settings->options.copies = small;
        return true;
    case STEPS:
        settings->steps = value;
        return true;
    case SAVE_EVERY:
        settings->save_every = value;
        return true;
    case WAIT_MS:
        settings->wait_ms = small;
        return true;
    case LOAD_STEP:
        settings->load_step = value;
        return true;
    case LOAD_MS:
        settings->load_ms = small;
        return true;
    case PAUSE_MS:
        settings->pause_ms = small;
        return true;
    default:
        return false;
    }
}

/* What the scheduler hands to its tasks; flags go before it. */
static bool read_environment(struct settings *settings)
{
    static const struct {
        const char *variable;
        int flag;
    } numbers[] = {{"CKPT_ATTEMPT", ATTEMPT},
                   {"CKPT_COPIES", COPIES},
                   {"SLURM_PROCID", RANK},
                   {"SLURM_NTASKS", WORLD}};
    const char *run = getenv("CKPT_RUN");
    settings->options.run = run != NULL ? run : settings->options.run;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const char *text = getenv(numbers[i].variable);
        uint64_t value;
        if (text != NULL && (!number(numbers[i].variable, text, UINT32_MAX, &value) ||
                             !set_number(settings, numbers[i].flag, value))) {
            return false;
        }
    }
    return true;
}

/* -1: go on; else the exit status. */
static int read_flags(int argc, char **argv, struct settings *settings)
{
    int index = 0;
    for (int flag; (flag = getopt_long(argc, argv, "hV", flags, &index)) != -1;) {
        uint64_t value;
        if (flag == HELP || flag == VERSION) {
            printf("%s%s", flag == HELP ? page : ckpt_version(), flag == HELP ? "" : "\n");
            return EXIT_SUCCESS;
        } else if (flag == RUN) {
            settings->options.run = optarg;
        } else if (flag == SOCKET) {
            settings->options.socket = optarg;
        } else if (flag == '?' ||
                   !number(flags[index].name, optarg,
                           flag == STEPS || flag == SAVE_EVERY || flag == LOAD_STEP ? UINT64_MAX
                                                                                    : UINT32_MAX,
                           &value) ||
                   !set_number(settings, flag, value)) {
            return EXIT_FAILURE;
        }
    }
    if (optind != argc - 1) {
        fprintf(stderr, "one FILE to train on is wanted; --help tells more\n");
        return EXIT_FAILURE;
    }
    settings->file = argv[optind];
    return -1;
}

int main(int argc, char **argv)
{
    static struct model model;
    struct settings settings = {
        .options = {.size = sizeof(struct ckpt_options), .run = "example", .world = 1},
        .steps = 100,
        .save_every = 10,
        .load_step = CKPT_STEP_LATEST,
        .load_ms = 60000,
    };
    struct ckpt *ckpt = NULL;
    struct text text = {0};
    char reason[256];
    int code = read_environment(&settings) ? read_flags(argc, argv, &settings) : EXIT_FAILURE;
    if (code >= 0) {
        return code;
    }
    (void)signal(SIGTERM, on_term);
    enum ckpt_status status = ckpt_open_reason(&settings.options, &ckpt, reason, sizeof(reason));
    if (status != CKPT_OK) {
        fprintf(stderr, "ckpt_open: %s: %s\n", ckpt_status_name(status), reason);
        return EXIT_FAILURE;
    }
    bool good = read_text(&settings, &text) && load(ckpt, &settings, &model);
    if (good) {
        run(ckpt, &settings, &model, &text);
    }
    free(text.bytes);
    ckpt_close(&ckpt);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
