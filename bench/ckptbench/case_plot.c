/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench plot: results become a picture. */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/reason.h"
#include "case.h"
#include "plot/chart_draw.h"
#include "plot/plot.h"
#include "plot/svg.h"
#include "process/complain.h"

#define PANEL_WIDTH 600.0
#define PANEL_HEIGHT 400.0
#define GAP 24.0
#define HEAD 64.0
#define FOOT_LINE 16.0
#define PANELS_MAX 48

enum key { KEY_OUTPUT, KEY_LABELS, KEY_TITLE, KEY_COUNT };

static const struct config_key keys[KEY_COUNT] = {
    [KEY_OUTPUT] = {.name = "output",
                    .flag = "output",
                    .letter = 'o',
                    .type = CONFIG_STRING,
                    .placeholder = "FILE.svg",
                    .required = true,
                    .help = "the picture; - is standard output"},
    [KEY_LABELS] = {.name = "labels",
                    .flag = "labels",
                    .type = CONFIG_LIST,
                    .placeholder = "NAME,...",
                    .fallback_is = "the files' names",
                    .help = "what the results are called in it, in their order"},
    [KEY_TITLE] = {.name = "title",
                   .flag = "title",
                   .type = CONFIG_STRING,
                   .placeholder = "TEXT",
                   .fallback_is = "what was measured",
                   .help = "its first line"},
};

static const struct config_program program = {
    .name = "ckptbench plot",
    .version = CKPT_VERSION,
    .operands = "RESULT.json...",
    .summary = "Draws results that --json wrote, those of the same case side by side, as an SVG "
               "picture: bandwidth and latency over slice sizes, percentiles, a checkpoint's "
               "speeds and ratios with their rooflines and targets.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .examples = "  ckptbench raw --sweep --json=tcp.json\n"
                "  ckptbench raw --sweep --transport=ucx:shm --json=shm.json\n"
                "  ckptbench plot tcp.json shm.json -o raw.svg\n"
                "  ckptbench plot before.json after.json --labels=before,after -o cycle.svg\n",
};

static const struct {
    const char *kind;
    const char *title;
    plot_function *plot;
} kinds[] = {{"raw", "Reads by the transport alone", plot_raw},
             {"rails", "Rails", plot_rails},
             {"register", "Registration of memory", plot_register},
             {"cycle", "A checkpoint's way", plot_cycle},
             {"digest", "Digest", plot_digest},
             {"scale", "The coordinator alone", plot_scale}};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct picture {
    size_t result_count;
    struct result results[PLOT_RESULTS_MAX];
    const char *title;
    bool is_full; /* some of what was measured has no room */
    size_t panel_count;
    struct chart panels[PANELS_MAX + PLOT_PANELS_MAX];
};

static bool is_known(const char *kind)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            return true;
        }
    }
    return false;
}

static enum ckpt_status load(const struct config *config, void *work, char *reason)
{
    struct picture *picture = work;
    size_t count;
    char *const *paths = config_operands(config, &count);
    size_t labels = config_list_count(config, KEY_LABELS);
    if (count == 0 || count > PLOT_RESULTS_MAX) {
        return reason_refuse(reason, CKPT_ERR_CONFIG,
                             "want 1 to %d results, each a file that --json wrote",
                             PLOT_RESULTS_MAX);
    }
    if (labels > 0 && labels != count) {
        return reason_refuse(reason, CKPT_ERR_CONFIG, "--labels: %zu names for %zu results", labels,
                             count);
    }
    for (size_t i = 0; i < count; i++) {
        struct result *result = &picture->results[i];
        enum ckpt_status status = result_load(
            paths[i], labels > 0 ? config_list_at(config, KEY_LABELS, i) : NULL, result, reason);
        if (status != CKPT_OK) {
            return status;
        }
        picture->result_count++;
        if (!is_known(result->kind)) {
            return reason_refuse(
                reason, CKPT_ERR_CONFIG,
                "%.100s is a result of a case \"%.40s\", which this ckptbench does not draw",
                paths[i], result->kind);
        }
    }
    return CKPT_OK;
}

/* The results of each case in the order of the command line. */
static enum ckpt_status make_panels(void *work, char *reason)
{
    struct picture *picture = work;
    for (size_t i = 0; i < KINDS; i++) {
        struct result same[PLOT_RESULTS_MAX];
        size_t count = 0;
        for (size_t j = 0; j < picture->result_count; j++) {
            if (strcmp(picture->results[j].kind, kinds[i].kind) == 0) {
                same[count++] = picture->results[j];
            }
        }
        if (count == 0 || picture->panel_count > PANELS_MAX) {
            continue;
        }
        struct chart *first = &picture->panels[picture->panel_count];
        size_t made = kinds[i].plot(same, count, first);
        for (size_t j = 0; j < made; j++) {
            picture->is_full = picture->is_full || first[j].is_full;
            if (chart_has_points(&first[j])) {
                picture->panels[picture->panel_count++] = first[j];
            }
        }
        picture->title = picture->title != NULL ? "ckptbench" : kinds[i].title;
    }
    if (picture->is_full) {
        return reason_refuse(reason, CKPT_ERR_CONFIG,
                             "the results have more lines than a picture tells apart: draw fewer "
                             "results, or such with fewer depths, in one picture");
    }
    return picture->panel_count > 0
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_CONFIG, "the results have nothing to draw");
}

static void draw_head(const struct picture *picture, FILE *out)
{
    struct svg_text title = {.x = GAP, .y = 34, .size = 20, .colour = "#222222", .bold = true};
    struct svg_text under = {.x = GAP, .y = 54, .size = 12, .colour = "#666666"};
    svg_write(out, &title, picture->title);
    svg_write(out, &under,
              picture->result_count == 1 ? result_text(picture->results[0].json, "title")
                                         : "Side by side; where each was measured is at the foot");
}

/* Where and with what each result was measured. */
static void draw_foot(const struct picture *picture, FILE *out, double y)
{
    for (size_t i = 0; i < picture->result_count; i++) {
        const struct result *result = &picture->results[i];
        const json_t *e = json_object_get(result->json, "environment");
        char words[512];
        struct svg_text text = {
            .x = GAP, .y = y + FOOT_LINE * (double)i, .size = 10.5, .colour = "#666666"};
        snprintf(words, sizeof(words), "%s: %s%s%s, %.0f cores, %s, load %.1f, %s build of %s, %s",
                 result->label, result_text(result->json, "transport"),
                 result_text(result->json, "transport")[0] != '\0' ? ", " : "",
                 result_text(e, "cpu"), result_number(e, "cores"), result_text(e, "kernel"),
                 result_number(e, "load"), result_text(e, "build"), result_text(e, "commit"),
                 result_text(e, "when"));
        svg_write(out, &text, words);
    }
}

static void draw(const struct picture *picture, FILE *out)
{
    size_t columns = picture->panel_count > 1 ? 2 : 1;
    size_t rows = (picture->panel_count + columns - 1) / columns;
    double width = GAP + (double)columns * (PANEL_WIDTH + GAP);
    width = width > 860 ? width : 860;
    double foot = HEAD + (double)rows * (PANEL_HEIGHT + GAP) + GAP;
    double height = foot + FOOT_LINE * (double)picture->result_count;
    svg_begin(out, width, height, picture->title);
    svg_rectangle(out, 0, 0, width, height, "#ffffff");
    draw_head(picture, out);
    double panel = columns == 1 ? width - 2 * GAP : PANEL_WIDTH;
    for (size_t i = 0; i < picture->panel_count; i++) {
        size_t row = i / columns;
        double x = GAP + (double)(i % columns) * (PANEL_WIDTH + GAP);
        double y = HEAD + GAP / 2 + (double)row * (PANEL_HEIGHT + GAP);
        chart_draw(&picture->panels[i], out, x, y, panel, PANEL_HEIGHT);
    }
    draw_foot(picture, out, foot);
    svg_end(out);
}

static bool write_picture(void *work, const struct config *config)
{
    struct picture *picture = work;
    const char *path = config_text(config, KEY_OUTPUT);
    if (config_text(config, KEY_TITLE) != NULL) {
        picture->title = config_text(config, KEY_TITLE);
    }
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *out = to_stdout ? stdout : fopen(path, "we");
    if (out == NULL) {
        complain("plot: cannot write %s: %s", path, strerror(errno));
        return false;
    }
    draw(picture, out);
    bool good = fflush(out) == 0 && !ferror(out);
    if (!good) {
        complain("plot: cannot write %s: %s", path, strerror(errno));
    }
    if (!to_stdout) {
        fclose(out);
    }
    return good;
}

static void close_picture(void *work)
{
    struct picture *picture = work;
    for (size_t i = 0; i < picture->result_count; i++) {
        result_free(&picture->results[i]);
    }
}

const struct bench_case case_plot = {.name = "plot",
                                     .summary = "a picture (SVG) of results",
                                     .program = &program,
                                     .bytes = sizeof(struct picture),
                                     .prepare = load,
                                     .measure = make_panels,
                                     .tell = write_picture,
                                     .close = close_picture};
