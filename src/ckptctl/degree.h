/* SPDX-License-Identifier: Apache-2.0 */
/* An entry of a checkpoint, as the coordinator tells it, in words: how whole it is, what it lacks,
 * what it waits for, and when it was. */
#ifndef CKPT_CKPTCTL_DEGREE_H
#define CKPT_CKPTCTL_DEGREE_H

#include "ckptctl/options.h"
#include "ckptctl/table.h"
#include "ckptctl/text.h"

struct long_text {
    char text[1024];
};

/* "consistent", "at risk 1/2": how many of the copies asked for there are of the shard that has
 * fewest. */
struct long_text degree_state(const json_t *checkpoint);
#define STATE_TEXT(checkpoint) (degree_state(checkpoint).text)

/* How that looks. */
enum style degree_style(const json_t *checkpoint);

/* It was committed, and has fewer copies than were asked for. */
bool degree_is_short(const json_t *checkpoint);

/* Which ranks lack what, by node, and what is done about it, with "; " between what is told of
 * several together; "" where nothing is lacking. */
struct long_text degree_shortages(const json_t *checkpoint);
#define SHORTAGES_TEXT(checkpoint) (degree_shortages(checkpoint).text)

/* What the verbs exit with that are asked whether a checkpoint is whole. */
enum exit_code degree_code(const json_t *checkpoint, bool any);

/* A duration of an entry, and when it was committed; "-" where it is not known. */
struct size_text degree_duration(const json_t *checkpoint, const char *name);
#define DURATION_TEXT(checkpoint, name) (degree_duration(checkpoint, name).text)
struct size_text degree_time(const json_t *checkpoint);
#define TIME_TEXT(checkpoint) (degree_time(checkpoint).text)

/* The flags of verbs whose exit code says whether all is as it should be; false, with a complaint,
 * when both are given. */
#define OPTION_ANY(what) OPTION_SWITCH("any", (what))
#define OPTION_STRICT(what) OPTION_SWITCH("strict", (what))
bool degree_flags(const struct ctl *ctl, size_t strict, size_t any);

#endif
