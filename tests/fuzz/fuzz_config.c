/* SPDX-License-Identifier: Apache-2.0 */
/* A config file of any bytes: every outcome is CKPT_OK with values in range, or an error with one
 * line of text. What was accepted is printed and must be read again as the same values. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"
#include "../unit/config/sample.h"

static void expect(int condition)
{
    if (!condition) {
        abort();
    }
}

/* The path of an open file, for --config. */
static int make_file(const void *bytes, size_t count, char *path_out, size_t path_size)
{
    int fd = memfd_create("fuzz_config", 0);
    expect(fd >= 0);
    expect(write(fd, bytes, count) == (ssize_t)count);
    snprintf(path_out, path_size, "/proc/self/fd/%d", fd);
    return fd;
}

static enum ckpt_status load(const void *bytes, size_t count, struct config **config_out)
{
    char path[64];
    char reason[256] = "";
    enum config_request request;
    int fd = make_file(bytes, count, path, sizeof(path));
    char *argv[] = {"sampled", "--config", path, NULL};
    enum ckpt_status status =
        config_load(&sample_program, 3, argv, NULL, config_out, &request, reason, sizeof(reason));
    close(fd);
    if (status != CKPT_OK) {
        expect(status == CKPT_ERR_CONFIG);
        expect(reason[0] != '\0' && !strchr(reason, '\n'));
    }
    return status;
}

static void check_ranges(const struct config *config)
{
    expect(config_text(config, SAMPLE_NODE)[0] != '\0');
    expect(config_number(config, SAMPLE_NICE) >= -20 && config_number(config, SAMPLE_NICE) <= 19);
    expect(config_number(config, SAMPLE_BYTES) >= 2 << 20);
    expect(config_number(config, SAMPLE_BYTES) <= 1 << 30);
    expect(config_number(config, SAMPLE_LINGER) >= 0);
    expect(config_number(config, SAMPLE_LEVEL) >= 0 && config_number(config, SAMPLE_LEVEL) < 4);
    expect(config_list_count(config, SAMPLE_PEERS) <= CONFIG_LIST_MAX);
    for (size_t i = 0; i < config_list_count(config, SAMPLE_PEERS); i++) {
        expect(config_list_at(config, SAMPLE_PEERS, i)[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct config *config = NULL;
    if (load(data, bytes, &config) != CKPT_OK) {
        expect(config == NULL);
        return 0;
    }
    check_ranges(config);
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *out = open_memstream(&text, &text_bytes);
    expect(out != NULL);
    config_print(config, out);
    fclose(out);
    struct config *again = NULL;
    /* "node =;x" is the only kind of value of a file that is not printed as one. */
    if (!strstr(text, "a file cannot have this value")) {
        expect(load(text, text_bytes, &again) == CKPT_OK);
        for (size_t i = 0; i < SAMPLE_JSON; i++) {
            expect(strcmp(config_text(config, i), config_text(again, i)) == 0);
        }
    }
    config_delete(&again);
    config_delete(&config);
    free(text);
    return 0;
}
