/* SPDX-License-Identifier: Apache-2.0 */
/* import, export and verify with real agents: files go in on one node and come out on another, and
 * a byte that changes in an agent's memory is found and made good. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "arena/record.h"
#include "base/bytes.h"
#include "base/prng.h"
#include "digest/digest.h"
#include "integration/ckptctld/cluster.h"

#define AGENTS 3
#define OUTPUT_MAX 65536

struct site {
    struct cluster *cluster;
    struct process agents[AGENTS];
    char output[OUTPUT_MAX];
};

static char *site_path(const struct site *site, const char *name, char path_out[160])
{
    snprintf(path_out, 160, "%s/%s", site->cluster->directory, name);
    return path_out;
}

static void arena_of(const struct site *site, int agent, char path_out[160])
{
    /* In memory as a real one, named after this test's own directory. */
    snprintf(path_out, 160, "/dev/shm/%s-%d", strrchr(site->cluster->directory, '/') + 1, agent);
}

static void start_agent(struct site *site, int agent)
{
    char node[32];
    char coordinator[160];
    char socket[192];
    char arena[192];
    char directory[160];
    char log[160];
    char path[160];
    snprintf(node, sizeof(node), "--node=n%d", agent);
    snprintf(coordinator, sizeof(coordinator), "--coordinator=%s", site->cluster->address);
    snprintf(path, sizeof(path), "%s/agent%d.sock", site->cluster->directory, agent);
    snprintf(socket, sizeof(socket), "--socket=%s", path);
    arena_of(site, agent, directory);
    snprintf(arena, sizeof(arena), "--arena-directory=%s", directory);
    snprintf(log, sizeof(log), "%s/agent%d.log", site->cluster->directory, agent);
    const char *arguments[] = {node,
                               coordinator,
                               socket,
                               arena,
                               "--listen=127.0.0.1:0",
                               "--arena-bytes=64MiB",
                               "--arena-segment-bytes=4MiB",
                               "--arena-huge-pages=never",
                               "--arena-lock=off",
                               NULL};
    process_start(&site->agents[agent], CKPTD_PROGRAM, arguments, NULL, log);
    process_await(&site->agents[agent], "event=joined", 0, NULL, 0);
}

static int start(void **state)
{
    struct site *site = calloc(1, sizeof(*site));
    void *made;
    if (cluster_make(&made) != 0) {
        free(site);
        return -1;
    }
    site->cluster = made;
    cluster_start(site->cluster, NULL, NULL);
    for (int i = 0; i < AGENTS; i++) {
        start_agent(site, i);
    }
    *state = site;
    return 0;
}

static void clear_arena(const char *path)
{
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char name[512];
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        unlink(name);
    }
    if (directory) {
        closedir(directory);
    }
    rmdir(path);
}

static int stop(void **state)
{
    struct site *site = *state;
    void *made = site->cluster;
    for (int i = 0; i < AGENTS; i++) {
        char arena[160];
        process_kill(&site->agents[i]);
        arena_of(site, i, arena);
        clear_arena(arena);
    }
    cluster_clear(&made);
    free(site);
    return 0;
}

/* Runs ckptctl at an agent with these arguments (up to NULL). */
static int run(struct site *site, int agent, ...)
{
    const char *arguments[16];
    char log[160];
    char coordinator[160];
    char socket[192];
    struct process process;
    size_t count = 0;
    va_list list;
    va_start(list, agent);
    do {
        arguments[count] = va_arg(list, const char *);
    } while (arguments[count++]);
    va_end(list);
    site_path(site, "output", log);
    snprintf(coordinator, sizeof(coordinator), "CKPT_COORDINATOR=%s", site->cluster->socket);
    snprintf(socket, sizeof(socket), "CKPT_SOCKET=%s/agent%d.sock", site->cluster->directory,
             agent);
    const char *environment[] = {coordinator, socket, NULL};
    unlink(log);
    process_start(&process, CKPTCTL_PROGRAM, arguments, environment, log);
    int code = process_wait(&process);
    FILE *file = fopen(log, "r");
    size_t got = file ? fread(site->output, 1, OUTPUT_MAX - 1, file) : 0;
    site->output[got] = '\0';
    if (file) {
        fclose(file);
    }
    return code;
}

#define EXPECT_RUN(site, code, ...)                                                                \
    do {                                                                                           \
        int got_ = run(site, __VA_ARGS__, NULL);                                                   \
        if (got_ != (code)) {                                                                      \
            fail_msg("exit %d, not %d:\n%s", got_, (code), (site)->output);                        \
        }                                                                                          \
    } while (0)

static void expect_output(const struct site *site, const char *text)
{
    if (!strstr(site->output, text)) {
        fail_msg("'%s' is not in:\n%s", text, site->output);
    }
}

static uint8_t *read_whole(const char *path, size_t *bytes_out)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    uint8_t *data = malloc((size_t)status.st_size + 1);
    assert_int_equal(read(fd, data, (size_t)status.st_size), status.st_size);
    close(fd);
    *bytes_out = (size_t)status.st_size;
    return data;
}

static void write_whole(const char *path, const void *data, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
    close(fd);
}

/* A safetensors file of one tensor of random bytes, as another program might have written it. */
static void make_safetensors(const char *path, uint64_t seed, size_t tensor_bytes)
{
    char header[160];
    int bytes = snprintf(header, sizeof(header),
                         "{\"w\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}",
                         tensor_bytes, tensor_bytes);
    size_t whole = 8 + (size_t)bytes + tensor_bytes;
    uint8_t *data = malloc(whole);
    struct prng prng;
    prng_seed(&prng, seed);
    store_le64(data, (uint64_t)bytes);
    memcpy(data + 8, header, (size_t)bytes);
    for (size_t i = 8 + (size_t)bytes; i < whole; i++) {
        data[i] = (uint8_t)prng_next(&prng);
    }
    write_whole(path, data, whole);
    free(data);
}

static void hex_of_file(const char *path, char hex_out[DIGEST_HEX_BYTES])
{
    const struct digest_engine *engine;
    struct digest digest;
    size_t bytes;
    uint8_t *data = read_whole(path, &bytes);
    assert_int_equal(digest_engine_select("scalar", &engine), CKPT_OK);
    digest_bytes(engine, data, bytes, &digest);
    digest_hex(&digest, hex_out);
    free(data);
}

static void expect_equal_files(const char *a, const char *b)
{
    size_t a_bytes;
    size_t b_bytes;
    uint8_t *a_data = read_whole(a, &a_bytes);
    uint8_t *b_data = read_whole(b, &b_bytes);
    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(a_data, b_data, a_bytes);
    free(a_data);
    free(b_data);
}

/* Imports two files as step 10 of the run "models/x", from agent 0. */
static void import_two(struct site *site, char first_out[160], char second_out[160])
{
    make_safetensors(site_path(site, "first", first_out), 1, 5000000);
    make_safetensors(site_path(site, "second", second_out), 2, 100);
    EXPECT_RUN(site, 0, 0, "import", "models/x", "10", first_out, second_out, "--wait");
    expect_output(site, "2 ranks");
    expect_output(site, "consistent");
}

static void files_go_in_and_come_out(void **state)
{
    struct site *site = *state;
    char first[160];
    char second[160];
    char out[160];
    char hex[DIGEST_HEX_BYTES];
    import_two(site, first, second);
    hex_of_file(first, hex);
    EXPECT_RUN(site, 0, 0, "show", "models/x", "10");
    expect_output(site, hex);
    /* On every node, whether it holds a copy or not. */
    site_path(site, "out", out);
    for (int i = 0; i < AGENTS; i++) {
        EXPECT_RUN(site, 0, i, "export", "models/x", "latest", "0", out);
        expect_output(site, hex);
        expect_equal_files(first, out);
        EXPECT_RUN(site, 0, i, "export", "models/x", "10", "1", out);
        expect_equal_files(second, out);
    }
    EXPECT_RUN(site, 1, 1, "export", "models/x", "10", "2", out);
    EXPECT_RUN(site, 1, 1, "export", "models/x", "11", "0", out);
    EXPECT_RUN(site, 1, 1, "export", "models/y", "latest", "0", out);
    expect_equal_files(second, out);
    EXPECT_RUN(site, 1, 1, "export", "models/x", "10", "0", "/nonexistent/out");
    expect_output(site, "/nonexistent/out");
}

static void any_file_may_be_imported(void **state)
{
    struct site *site = *state;
    char first[160];
    char second[160];
    char out[160];
    size_t bytes;
    site_path(site, "first", first);
    site_path(site, "second", second);
    write_whole(first, "x", 1);
    write_whole(second, "", 0);
    EXPECT_RUN(site, 0, 0, "--json", "import", "models/x", "1", first, second, "--wait");
    expect_output(site, "\"opaque\": 2");
    expect_output(site, "\"state\": \"consistent\"");
    EXPECT_RUN(site, 0, 1, "export", "models/x", "1", "0", site_path(site, "out", out));
    uint8_t *data = read_whole(out, &bytes);
    assert_int_equal(data[bytes - 1], 'x');
    assert_non_null(memmem(data, bytes, "\"bytes\"", 7));
    free(data);
}

static void wrong_imports_are_refused(void **state)
{
    struct site *site = *state;
    char first[160];
    char second[160];
    import_two(site, first, second);
    EXPECT_RUN(site, 1, 0, "import", "models/x", "9", first, second);
    EXPECT_RUN(site, 1, 0, "import", "models/x", "20", "/nonexistent", second);
    expect_output(site, "/nonexistent");
    EXPECT_RUN(site, 1, 0, "import", "models/x", "20", "/tmp", second);
    EXPECT_RUN(site, 2, 0, "import", "models/x", "latest", first);
    EXPECT_RUN(site, 2, 0, "import", "models/x", "20");
    /* Another world is another attempt, which is found by itself. */
    EXPECT_RUN(site, 0, 0, "import", "models/x", "30", first, "--wait");
    expect_output(site, "attempt 2");
    EXPECT_RUN(site, 0, 0, "list", "models/x");
    expect_output(site, " 30  consistent        2      1 ");
}

/* The record of the slot that has the shard now. Each slot has two records in the index, the newer
 * one counts; a slot that was freed may have had the same bytes. */
static struct slot_record find_slot(const char *arena, const char *run, uint64_t step,
                                    uint32_t rank)
{
    static struct slot_record newest[256];
    uint64_t sequences[256] = {0};
    char path[512];
    size_t bytes;
    snprintf(path, sizeof(path), "%s/index", arena);
    uint8_t *index = read_whole(path, &bytes);
    for (size_t at = 0; at + ARENA_RECORD_BYTES <= bytes; at += ARENA_RECORD_BYTES) {
        struct slot_record record;
        uint64_t sequence;
        if (arena_record_decode(index + at, ARENA_RECORD_BYTES, &record, &sequence) == CKPT_OK &&
            record.slot < 256 && sequence > sequences[record.slot]) {
            sequences[record.slot] = sequence;
            newest[record.slot] = record;
        }
    }
    free(index);
    for (uint32_t slot = 0; slot < 256; slot++) {
        const struct slot_record *record = &newest[slot];
        if (sequences[slot] > 0 && strcmp(record->shard.run.name, run) == 0 &&
            record->shard.step == step && record->shard.rank == rank &&
            (record->state == SLOT_SEALED || record->state == SLOT_VERIFIED)) {
            return *record;
        }
    }
    fail_msg("%s has no slot with step %llu of rank %u", arena, (unsigned long long)step, rank);
    abort();
}

/* Flips a bit of the bytes, where that slot has them. */
static void flip_in_arena(const char *arena, const struct slot_record *slot, const uint8_t *needle,
                          size_t needle_bytes)
{
    for (uint32_t i = 0; i < slot->segment_count; i++) {
        char path[512];
        size_t bytes;
        snprintf(path, sizeof(path), "%s/segment-%04u", arena, slot->segments[i]);
        uint8_t *data = read_whole(path, &bytes);
        uint8_t *found = memmem(data, bytes, needle, needle_bytes);
        if (found) {
            uint8_t flipped = *found ^ 1;
            int fd = open(path, O_WRONLY);
            assert_int_equal(pwrite(fd, &flipped, 1, found - data), 1);
            close(fd);
            free(data);
            return;
        }
        free(data);
    }
    fail_msg("slot %u of %s does not hold the bytes", slot->slot, arena);
}

static void a_flipped_byte_is_found_and_made_good(void **state)
{
    struct site *site = *state;
    char first[160];
    char second[160];
    char arena[160];
    char out[160];
    size_t bytes;
    import_two(site, first, second);
    EXPECT_RUN(site, 0, 0, "verify", "models/x", "10");
    uint8_t *data = read_whole(first, &bytes);
    arena_of(site, 0, arena);
    struct slot_record slot = find_slot(arena, "models/x", 10, 0);
    flip_in_arena(arena, &slot, data + 100000, 64);
    free(data);
    EXPECT_RUN(site, 1, 0, "verify", "models/x", "10");
    expect_output(site, "   0  n0    n0      differs");
    expect_output(site, "3 of 4 copies are what they should be");
    /* Made anew from the good one by itself; what comes out was never wrong. */
    int code = 1;
    for (int i = 0; i < 100 && code != 0; i++) {
        struct timespec pause = {.tv_nsec = 100000000};
        nanosleep(&pause, NULL);
        code = run(site, 0, "verify", "models/x", "10", NULL);
        code = strstr(site->output, "4 of 4") ? code : 1;
    }
    assert_int_equal(code, 0);
    EXPECT_RUN(site, 0, 0, "export", "models/x", "10", "0", site_path(site, "out", out));
    expect_equal_files(first, out);
    assert_true(process_logged(&site->cluster->coordinator, "event=digest_mismatch"));
}

static void a_lost_node_costs_nothing(void **state)
{
    struct site *site = *state;
    char first[160];
    char second[160];
    char out[160];
    import_two(site, first, second);
    process_kill(&site->agents[0]);
    EXPECT_RUN(site, 0, 1, "export", "models/x", "latest", "0", site_path(site, "out", out));
    expect_equal_files(first, out);
    EXPECT_RUN(site, 0, 2, "export", "models/x", "latest", "1", out);
    expect_equal_files(second, out);
    EXPECT_RUN(site, 3, 0, "export", "models/x", "latest", "1", out);
}

int main(void)
{
#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH_SITE(files_go_in_and_come_out),  WITH_SITE(any_file_may_be_imported),
        WITH_SITE(wrong_imports_are_refused), WITH_SITE(a_flipped_byte_is_found_and_made_good),
        WITH_SITE(a_lost_node_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
