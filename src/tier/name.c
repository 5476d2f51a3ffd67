/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/name.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const suffixes[] = {
    [TIER_ENCODING_NONE] = ".safetensors",
};
#define ENCODINGS (sizeof(suffixes) / sizeof(suffixes[0]))

static const char *const encodings[ENCODINGS] = {
    [TIER_ENCODING_NONE] = "none",
};

const char *tier_encoding_name(enum tier_encoding encoding)
{
    assert((size_t)encoding < ENCODINGS);
    return encodings[encoding];
}

bool tier_encoding_from_name(const char *name, enum tier_encoding *encoding_out)
{
    for (size_t i = 0; i < ENCODINGS; i++) {
        if (strcmp(name, encodings[i]) == 0) {
            *encoding_out = (enum tier_encoding)i;
            return true;
        }
    }
    return false;
}

static struct tier_name with_slashes_as(const char *text, char from, char to)
{
    struct tier_name name;
    snprintf(name.text, sizeof(name.text), "%s", text);
    for (char *c = name.text; *c != '\0'; c++) {
        *c = *c == from ? to : *c;
    }
    return name;
}

bool tier_name_run(const struct run_key *run, struct tier_name *name_out)
{
    if (!name_is_valid(run->name, CKPT_RUN_NAME_MAX)) {
        return false;
    }
    struct tier_name flat = with_slashes_as(run->name, '/', '~');
    snprintf(name_out->text, sizeof(name_out->text), "%" PRIu32 "-%.*s", run->uid,
             CKPT_RUN_NAME_MAX, flat.text);
    return true;
}

/* Digits up to `end`, which must be there; what they mean beyond their range is found when the name
 * is made again. */
static bool read_digits(const char **at, char end, uint64_t *number_out)
{
    char *stop;
    if (**at < '0' || **at > '9') {
        return false;
    }
    *number_out = strtoull(*at, &stop, 10);
    *at = stop + (end != '\0');
    return *stop == end;
}

bool tier_name_read_run(const char *text, struct run_key *run_out)
{
    const char *at = text;
    uint64_t uid;
    struct run_key run = {0};
    struct tier_name again;
    if (!read_digits(&at, '-', &uid) || strlen(at) > CKPT_RUN_NAME_MAX) {
        return false;
    }
    struct tier_name name = with_slashes_as(at, '~', '/');
    run.uid = (uint32_t)uid;
    snprintf(run.name, sizeof(run.name), "%.*s", CKPT_RUN_NAME_MAX, name.text);
    if (!tier_name_run(&run, &again) || strcmp(again.text, text) != 0) {
        return false;
    }
    *run_out = run;
    return true;
}

static struct tier_name checkpoint_name(const struct tier_checkpoint_key *key)
{
    struct tier_name name;
    snprintf(name.text, sizeof(name.text), "step-%020" PRIu64 "-attempt-%010" PRIu32, key->step,
             key->attempt);
    return name;
}

bool tier_name_checkpoint(const struct tier_checkpoint_key *key, struct tier_name *name_out)
{
    struct tier_name run;
    if (key->step > INT64_MAX || !tier_name_run(&key->run, &run)) {
        return false;
    }
    *name_out = tier_name_in(&run, checkpoint_name(key).text);
    return true;
}

bool tier_name_read_checkpoint(const char *text, struct tier_checkpoint_key *key_out)
{
    static const char before[] = "step-";
    static const char between[] = "attempt-";
    uint64_t step;
    uint64_t attempt;
    if (strncmp(text, before, strlen(before)) != 0) {
        return false;
    }
    const char *at = text + strlen(before);
    if (!read_digits(&at, '-', &step) || strncmp(at, between, strlen(between)) != 0) {
        return false;
    }
    at += strlen(between);
    if (!read_digits(&at, '\0', &attempt)) {
        return false;
    }
    struct tier_checkpoint_key key = {.step = step, .attempt = (uint32_t)attempt};
    if (step > INT64_MAX || strcmp(checkpoint_name(&key).text, text) != 0) {
        return false;
    }
    key_out->step = step;
    key_out->attempt = (uint32_t)attempt;
    return true;
}

static struct tier_name rank_name(uint32_t rank, const char *suffix)
{
    struct tier_name name;
    snprintf(name.text, sizeof(name.text), "rank-%05" PRIu32 "%s", rank, suffix);
    return name;
}

struct tier_name tier_name_shard(uint32_t rank, enum tier_encoding encoding)
{
    assert((size_t)encoding < ENCODINGS);
    return rank_name(rank, suffixes[encoding]);
}

struct tier_name tier_name_sidecar(uint32_t rank)
{
    return rank_name(rank, ".json");
}

bool tier_name_read_rank(const char *text, uint32_t *rank_out, bool *is_sidecar_out,
                         enum tier_encoding *encoding_out)
{
    unsigned rank;
    if (sscanf(text, "rank-%5u", &rank) != 1 || rank >= CKPT_WORLD_MAX) {
        return false;
    }
    *rank_out = rank;
    *is_sidecar_out = strcmp(text, tier_name_sidecar(rank).text) == 0;
    *encoding_out = TIER_ENCODING_NONE;
    for (size_t i = 0; i < ENCODINGS && !*is_sidecar_out; i++) {
        if (strcmp(text, tier_name_shard(rank, (enum tier_encoding)i).text) == 0) {
            *encoding_out = (enum tier_encoding)i;
            return true;
        }
    }
    return *is_sidecar_out;
}

struct tier_name tier_name_in(const struct tier_name *folder, const char *file)
{
    struct tier_name name;
    int length = snprintf(name.text, sizeof(name.text), "%s%s%s", folder->text,
                          folder->text[0] != '\0' ? "/" : "", file);
    assert(length > 0 && (size_t)length < sizeof(name.text));
    return name;
}

struct tier_name tier_name_shown(const char *text)
{
    struct tier_name name;
    snprintf(name.text, sizeof(name.text), "%s", text);
    for (char *c = name.text; *c != '\0'; c++) {
        *c = *c > ' ' && *c < '\x7f' ? *c : '?';
    }
    return name;
}
