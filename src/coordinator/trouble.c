/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps saves from becoming consistent, as long as it goes on: a table for people, and a note
 * once and then rarely. Nothing is decided by it. */
#include "coordinator/trouble.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/reason.h"
#include "coordinator/announce.h"
#include "coordinator/note.h"
#include "coordinator/update.h"

/* A cause that may come again with the next save is shown for so long; one that is repeated by
 * itself while it lasts, for a little more than the time between two. */
#define SHOWN_LONG_MS 3600000
#define SHOWN_MS 60000

static bool is_by_saves(enum coordinator_trouble kind)
{
    return kind == TROUBLE_AGENT || kind == TROUBLE_REPORT;
}

static bool is_shown(const struct coordinator *c, const struct trouble *t)
{
    uint64_t shown_ms = is_by_saves((enum coordinator_trouble)t->kind) ? SHOWN_LONG_MS : SHOWN_MS;
    return t->kind != TROUBLE_NONE && c->now_ms < t->said.last_ms + shown_ms;
}

static uint64_t key_of(enum coordinator_trouble kind, const char *node, const struct run_key *run,
                       uint64_t cause)
{
    uint64_t about = rare_key((uint64_t)kind << 32 | run->uid, node) ^ cause;
    return rare_key(about, run->name);
}

/* Its place, or that of the one that has been away for longest. NULL: all go on. */
static struct trouble *find(struct coordinator *c, uint64_t key)
{
    struct trouble *place = NULL;
    for (uint32_t i = 0; i < TROUBLES_MAX; i++) {
        struct trouble *t = &c->troubles[i];
        if (t->kind != TROUBLE_NONE && t->said.key == key) {
            return t;
        }
        bool is_free = t->kind == TROUBLE_NONE || rare_is_over(&t->said, c->now_ms);
        if (is_free && (place == NULL || t->said.last_ms < place->said.last_ms)) {
            place = t;
        }
    }
    if (place != NULL) {
        *place = (struct trouble){.said = {.key = key}};
    }
    return place;
}

/* What a clock notices happens with each of its rounds. */
static bool is_counted(const struct trouble *t)
{
    return t->kind == TROUBLE_JOIN || t->kind == TROUBLE_REPORT || t->kind == TROUBLE_PULL ||
           t->kind == TROUBLE_TIER;
}

static void say_how_often(const struct coordinator *c, const struct trouble *t,
                          char text_out[CKPT_REASON_MAX + 1])
{
    if (is_counted(t) && t->said.count > 1) {
        reason_set(text_out, "%.190s; %llu times in %llu s", t->text,
                   (unsigned long long)t->said.count,
                   (unsigned long long)((c->now_ms - t->said.first_ms) / 1000));
    } else {
        reason_set(text_out, "%s", t->text);
    }
}

bool coordinator_trouble_happens(struct coordinator *c, enum event_id event,
                                 const struct trouble *what, const char *format, ...)
{
    struct trouble *t = find(c, key_of((enum coordinator_trouble)what->kind, what->node,
                                       &what->shard.run, what->status));
    if (t == NULL) {
        c->troubles_left_out++;
        return false;
    }
    struct rare said = t->said;
    *t = *what;
    t->said = said;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(t->text, sizeof t->text, format, arguments);
    va_end(arguments);
    bool is_due = rare_happens(&t->said, c->now_ms);
    if (is_due) {
        struct about about = about_copy(t->node, &t->shard);
        about.has_rank = t->has_rank;
        char text[CKPT_REASON_MAX + 1];
        say_how_often(c, t, text);
        coordinator_note(c, event, about, "%s", text);
    }
    return is_due;
}

void coordinator_trouble_is_over(struct coordinator *c, enum coordinator_trouble kind,
                                 const char *node, const struct run_key *run)
{
    for (uint32_t i = 0; i < TROUBLES_MAX; i++) {
        struct trouble *t = &c->troubles[i];
        if (t->kind == (uint8_t)kind && strcmp(t->node, node) == 0 &&
            (run == NULL || run_key_equal(&t->shard.run, run))) {
            *t = (struct trouble){.kind = TROUBLE_NONE};
        }
    }
}

uint32_t coordinator_trouble_count(const struct coordinator *c)
{
    (void)c;
    return TROUBLES_MAX;
}

bool coordinator_trouble_view(const struct coordinator *c, uint32_t index,
                              struct coordinator_trouble_view *view_out)
{
    const struct trouble *t = &c->troubles[index < TROUBLES_MAX ? index : 0];
    if (index >= TROUBLES_MAX || !is_shown(c, t)) {
        return false;
    }
    *view_out = (struct coordinator_trouble_view){
        .kind = (enum coordinator_trouble)t->kind,
        .node = t->node,
        .run = &t->shard.run,
        .step = t->shard.step,
        .status = t->status,
        .text = t->text,
        .count = is_counted(t) ? t->said.count : 0,
        .since_ms_ago = c->now_ms - t->said.first_ms,
        .last_ms_ago = c->now_ms - t->said.last_ms,
    };
    return true;
}

#define SAVE_WAITS_MS 2000   /* once it is known for what */
#define SAVE_STANDS_MS 30000 /* though nothing is known to be wrong */
#define REFUSED_RECENTLY_MS 60000

void coordinator_trouble_of_save(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used);
    uint64_t waits_ms = k->status != CKPT_OK ? SAVE_WAITS_MS : SAVE_STANDS_MS;
    if (c->now_ms < k->progress_ms + waits_ms || !coordinator_update_has_room(c, 2)) {
        return;
    }
    struct trouble what = {.kind = TROUBLE_SAVE, .status = k->status};
    what.shard.run = c->runs[k->run].key;
    what.shard.attempt = k->attempt;
    what.shard.step = k->step;
    if (coordinator_trouble_happens(
            c, EVENT_save_waits, &what,
            "no progress for %llu s: %u of %u ranks sealed, %u with all copies%s%.120s",
            (unsigned long long)((c->now_ms - k->progress_ms) / 1000), k->sealed, k->world,
            k->ready, k->reason[0] != '\0' ? "; " : "", k->reason)) {
        coordinator_checkpoint_tell_waiting(c, k);
    }
}

void coordinator_trouble_of_agent(struct coordinator *c, struct member *m,
                                  const struct message_heartbeat *heartbeat)
{
    assert(m->state != MEMBER_FREE);
    bool is_news = heartbeat->refusals != m->refusals;
    m->refusals = heartbeat->refusals;
    if (!is_news || heartbeat->refused_status == CKPT_OK) {
        return;
    }
    m->refused_status = heartbeat->refused_status;
    m->refused_ms =
        heartbeat->refused_ms_ago < c->now_ms ? c->now_ms - heartbeat->refused_ms_ago : 0;
    if (heartbeat->refused_ms_ago > REFUSED_RECENTLY_MS) {
        return; /* the coordinator before this one heard of it */
    }
    struct trouble what = {.kind = TROUBLE_AGENT, .status = heartbeat->refused_status};
    strcpy(what.node, m->node);
    what.shard.run = heartbeat->refused_run;
    (void)coordinator_trouble_happens(
        c, EVENT_agent_refuses, &what, "%s: %.160s; %llu refusals since its start",
        ckpt_status_name(heartbeat->refused_status), heartbeat->refused_reason,
        (unsigned long long)heartbeat->refusals);
}
