/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon is a list of parts. Each is started after those above it and stopped before them, and
 * brings the keys of the configuration that are its own: another part is a file and a row.
 *
 * A list ends with NULL. */
#ifndef CKPT_DAEMON_PART_H
#define CKPT_DAEMON_PART_H

#include "config/config.h"

#define PARTS_KEYS_MAX 96

struct part {
    const struct config_key *keys; /* numbered from 0 by an enum of the part's header */
    size_t key_count;
    size_t first_key; /* where they begin in the program's table; parts_keys() sets it */

    /* What the table of keys cannot say of their values, so that --check-config says it too.
     * CKPT_ERR_CONFIG, with one line in reason (CKPT_REASON_MAX + 1 bytes). NULL: nothing. */
    enum ckpt_status (*check)(const struct config *config, char *reason);

    /* On failure one line is in reason (PART_REASON_BYTES), and stop is called all the same: it
     * takes what was made half or not at all. NULL: nothing is made. */
    enum ckpt_status (*start)(void *daemon, char *reason);
    void (*stop)(void *daemon);
};

#define PART_REASON_BYTES 1024 /* for who starts a daemon: may be several sentences */

/* The keys of all parts in the order in which people read them: by section, up to NULL in
 * `sections`, and within one as the parts stand. The keys of a part are of the section of its
 * first, or of none.
 *
 * RETURN VALUE
 * How many there are. */
size_t parts_keys(struct part *const *parts, const char *const *sections,
                  struct config_key keys_out[PARTS_KEYS_MAX]);

enum ckpt_status parts_check(struct part *const *parts, const struct config *config, char *reason);

/* Starts one part after the other, until one fails or is_stopped (which may be NULL) says so:
 * CKPT_ERR_ABORTED. *started_out of them are to be stopped, also on failure. */
enum ckpt_status parts_start(struct part *const *parts, void *daemon, bool (*is_stopped)(void),
                             size_t *started_out, char *reason);

/* Stops the first `started` in reverse. */
void parts_stop(struct part *const *parts, void *daemon, size_t started);

/* A part's key as config.h numbers it, and its value. */
static inline size_t part_key(const struct part *part, size_t key)
{
    return part->first_key + key;
}

static inline const char *part_text(const struct config *config, const struct part *part,
                                    size_t key)
{
    return config_text(config, part_key(part, key));
}

static inline int64_t part_number(const struct config *config, const struct part *part, size_t key)
{
    return config_number(config, part_key(part, key));
}

static inline bool part_is_set(const struct config *config, const struct part *part, size_t key)
{
    return config_is_set(config, part_key(part, key));
}

/* The reason of a check: "WHERE = VALUE: what is wanted". CKPT_ERR_CONFIG. */
enum ckpt_status part_refuse(const struct config *config, const struct part *part, size_t key,
                             char *reason, const char *wanted);

#endif
