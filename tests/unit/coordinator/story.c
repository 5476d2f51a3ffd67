/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/coordinator/story.h"

#include <inttypes.h>
#include <stdio.h>

#include "describe.h"
#include "unit/story.h"
#include "wire/message_codec.h"

struct story {
    struct cluster *cluster;
    struct story_text told;
};

/* --- What is heard ---------------------------------------------------------------------- */

static void asks(struct cluster *cluster, uint32_t node, const uint64_t *n)
{
    struct message m = {.type = MESSAGE_LOAD_ASK};
    m.load_ask.run.uid = 1000;
    strcpy(m.load_ask.run.name, "run");
    m.load_ask.load = (uint32_t)n[0];
    m.load_ask.attempt = (uint32_t)n[1];
    m.load_ask.asking_rank = m.load_ask.rank = (uint32_t)n[2];
    m.load_ask.world = (uint32_t)n[3];
    m.load_ask.start = cluster_start_name(m.load_ask.attempt);
    m.load_ask.seat = cluster_seat_name(m.load_ask.attempt, m.load_ask.rank);
    m.load_ask.step = CKPT_STEP_LATEST;
    m.load_ask.collective = true;
    cluster_message(cluster, node, &m);
}

static void reports(struct cluster *cluster, uint32_t node, const uint64_t *n,
                    enum copy_state state)
{
    uint32_t rank = (uint32_t)n[1];
    struct message m =
        cluster_report(1, n[0], rank, (uint32_t)n[2], state, rank == node, (uint8_t)(n[0] + rank));
    m.shard_report.order = n[3];
    cluster_message(cluster, node, &m);
}

static void verified(struct cluster *cluster, uint32_t node, const uint64_t *n)
{
    reports(cluster, node, n, COPY_VERIFIED);
}

static void sealed(struct cluster *cluster, uint32_t node, const uint64_t *n)
{
    reports(cluster, node, n, COPY_SEALED);
}

static void gone(struct cluster *cluster, uint32_t node, const uint64_t *n)
{
    reports(cluster, node, n, COPY_NONE);
}

static const struct {
    const char *words; /* # is a number */
    void (*hear)(struct cluster *cluster, uint32_t node, const uint64_t *n);
} events[] = {
    {"asks load # of attempt # rank # of #", asks},
    {"verified step # rank # of # order #", verified},
    {"sealed step # rank # of #", sealed},
    {"gone step # rank # of #", gone},
};

static bool is_said(const char *line, const char *words, uint64_t *n)
{
    for (; *words != '\0'; words++) {
        if (*words == '#') {
            char *end;
            *n++ = strtoull(line, &end, 10);
            if (end == line) {
                return false;
            }
            line = end;
        } else if (*line++ != *words) {
            return false;
        }
    }
    return *line == '\0';
}

static void hear(struct story *story, const char *line)
{
    uint64_t n[STORY_NUMBERS_MAX] = {0};
    if (is_said(line, "after # ms", n)) {
        cluster_tick(story->cluster, n[0]);
        return;
    }
    for (size_t i = 0; i < ROWS(events) && line[0] == 'n'; i++) {
        const char *words = strchr(line, ' ');
        if (words != NULL && is_said(words + 1, events[i].words, n)) {
            events[i].hear(story->cluster, (uint32_t)strtoul(line + 1, NULL, 10), n);
            return;
        }
    }
    fail_msg("not an event: %s", line);
}

/* --- What is done ----------------------------------------------------------------------- */

static const char *record_name(enum coordinator_record_type type)
{
    static const char *const names[] = {
        [RECORD_EPOCH] = "EPOCH",         [RECORD_CONSISTENT] = "CONSISTENT",
        [RECORD_RETIRED] = "RETIRED",     [RECORD_QUARANTINED] = "QUARANTINED",
        [RECORD_ATTEMPT] = "ATTEMPT",     [RECORD_WITHDRAWN] = "WITHDRAWN",
        [RECORD_VERDICT] = "VERDICT",     [RECORD_HOLDERS] = "HOLDERS",
        [RECORD_MARK] = "MARK",           [RECORD_OFFERED] = "OFFERED",
        [RECORD_CLUSTER] = "CLUSTER",     [RECORD_DRAINED] = "DRAINED",
        [RECORD_UNDRAINED] = "UNDRAINED", [RECORD_KEY] = "KEY",
    };
    assert_in_range(type, RECORD_EPOCH, RECORD_LAST);
    return names[type];
}

static void add_update(struct story *story)
{
    const struct coordinator_update *update = &story->cluster->update;
    char body[320];
    for (uint32_t i = 0; i < update->record_count; i++) {
        const struct coordinator_record *record = &update->records[i];
        story_add(&story->told, "< record %s attempt %u", record_name(record->type),
                  record->attempt);
        if (record->type == RECORD_ATTEMPT) { /* the name of its start stands in step and bytes */
            story_add(&story->told, "\n");
        } else {
            story_add(&story->told, " step %" PRIu64 "\n", record->step);
        }
    }
    for (uint32_t i = 0; i < update->message_count; i++) {
        const struct coordinator_outgoing *out = &update->messages[i];
        describe_body(&out->message, body, sizeof body);
        if (out->link == COORDINATOR_LINK_ALL) {
            story_add(&story->told, "< all: ");
        } else {
            story_add(&story->told, "< n%u: ", out->link);
        }
        story_add(&story->told, "%s%s%s\n", message_type_name(out->message.type), body,
                  out->close ? ", closed" : "");
    }
}

static void hear_and_do(void *context, const char *event)
{
    hear(context, event);
    add_update(context);
}

void cluster_story(struct cluster *cluster, const char *text)
{
    struct story story = {.cluster = cluster};
    story_tell(&story.told, text, hear_and_do, &story);
}
