/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/part.h"

#include <assert.h>
#include <string.h>

#include "base/reason.h"

static bool is_of(const struct part *part, const char *section)
{
    return part->key_count > 0 && part->keys[0].section != NULL &&
           strcmp(part->keys[0].section, section) == 0;
}

/* What has no section is a flag only, and shown before them all wherever it stands. */
static bool is_listed(const struct part *part, const char *const *sections)
{
    for (; *sections != NULL; sections++) {
        if (is_of(part, *sections)) {
            return true;
        }
    }
    return false;
}

static size_t add(struct part *part, struct config_key *keys, size_t count)
{
    assert(count + part->key_count <= PARTS_KEYS_MAX);
    part->first_key = count;
    memcpy(keys + count, part->keys, part->key_count * sizeof(*keys));
    return count + part->key_count;
}

size_t parts_keys(struct part *const *parts, const char *const *sections,
                  struct config_key keys_out[PARTS_KEYS_MAX])
{
    size_t count = 0;
    for (const char *const *section = sections; *section != NULL; section++) {
        for (size_t i = 0; parts[i] != NULL; i++) {
            if (is_of(parts[i], *section)) {
                count = add(parts[i], keys_out, count);
            }
        }
    }
    for (size_t i = 0; parts[i] != NULL; i++) {
        if (parts[i]->key_count > 0 && !is_listed(parts[i], sections)) {
            count = add(parts[i], keys_out, count);
        }
    }
    return count;
}

enum ckpt_status parts_check(struct part *const *parts, const struct config *config, char *reason)
{
    enum ckpt_status status = CKPT_OK;
    for (size_t i = 0; parts[i] != NULL && status == CKPT_OK; i++) {
        if (parts[i]->check != NULL) {
            status = parts[i]->check(config, reason);
        }
    }
    return status;
}

enum ckpt_status parts_start(struct part *const *parts, void *daemon, bool (*is_stopped)(void),
                             size_t *started_out, char *reason)
{
    enum ckpt_status status = CKPT_OK;
    size_t started = 0;
    for (; parts[started] != NULL && status == CKPT_OK; started++) {
        if (parts[started]->start != NULL) {
            status = parts[started]->start(daemon, reason);
        }
        if (status == CKPT_OK && is_stopped != NULL && is_stopped()) {
            status = reason_refuse(reason, CKPT_ERR_ABORTED, "stopped before it was ready");
        }
    }
    *started_out = started;
    return status;
}

void parts_stop(struct part *const *parts, void *daemon, size_t started)
{
    while (started-- > 0) {
        if (parts[started]->stop != NULL) {
            parts[started]->stop(daemon);
        }
    }
}

enum ckpt_status part_refuse(const struct config *config, const struct part *part, size_t key,
                             char *reason, const char *wanted)
{
    char said[CONFIG_SAID_SIZE];
    config_say(config, part_key(part, key), said);
    return reason_refuse(reason, CKPT_ERR_CONFIG, "%s: %.130s", said, wanted);
}
