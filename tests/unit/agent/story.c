/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/agent/story.h"

#include <stdio.h>
#include <string.h>

#include "describe.h"
#include "unit/story.h"
#include "wire/message_codec.h"

struct story {
    struct driver *d;
    uint32_t link; /* of the peer that was connected last, n2 in the words */
    uint64_t pull;
    uint64_t works[CKPT_ARENA_SEGMENTS_MAX]; /* the last of each slot */
    struct message_load_ask asked;
    struct story_text told;
};

/* --- What is heard ---------------------------------------------------------------------- */

static void order(struct story *story, const uint64_t *n)
{
    struct message message = driver_order(story->d, n[1], (uint32_t)n[2], n[3]);
    assert_int_equal(message.pull_order.order, n[0]);
    driver_coordinator(story->d, message);
}

static void ack(struct story *story, const uint64_t *n)
{
    driver_ack(story->d, (uint32_t)n[0], true, CHECKPOINT_VERIFYING);
}

static void consistent(struct story *story, const uint64_t *n)
{
    driver_checkpoint(story->d, n[0], CHECKPOINT_CONSISTENT);
}

static void verdict(struct story *story, const uint64_t *n)
{
    const struct message_load_ask *asked = &story->asked;
    struct message message = {.type = MESSAGE_LOAD_VERDICT,
                              .load_verdict = {.run = asked->run,
                                               .attempt = asked->attempt,
                                               .start = asked->start,
                                               .asking_rank = asked->asking_rank,
                                               .collective = asked->collective,
                                               .load = (uint32_t)n[0],
                                               .reader = asked->reader,
                                               .shard = key_of(ALICE, n[1], asked->rank)}};
    driver_coordinator(story->d, message);
}

static void offer(struct story *story, const uint64_t *n)
{
    struct message message = {.type = MESSAGE_OFFER,
                              .offer = {.pull = story->pull,
                                        .slot = (uint32_t)n[0],
                                        .generation = n[1],
                                        .bytes = n[2],
                                        .segment_bytes = SEGMENT}};
    message.offer.region_count = (uint32_t)((n[2] + SEGMENT - 1) / SEGMENT);
    driver_peer(story->d, story->link, message);
}

static void offer_closed(struct story *story, const uint64_t *n)
{
    (void)n;
    driver_peer(
        story->d, story->link,
        (struct message){.type = MESSAGE_OFFER_CLOSED, .offer_closed = {.pull = story->pull}});
}

static void slot_ask(struct story *story, const uint64_t *n)
{
    (void)driver_ask(story->d, (uint32_t)n[0], n[1], n[2]);
}

static void seal(struct story *story, const uint64_t *n)
{
    driver_seal(story->d, (uint32_t)n[0], n[1], (uint32_t)n[2], n[3]);
}

static void load_ask(struct story *story, const uint64_t *n)
{
    driver_rank_says(
        story->d, (uint32_t)n[0],
        (struct message){.type = MESSAGE_LOAD_ASK,
                         .load_ask = {.collective = true, .load = (uint32_t)n[1], .step = n[2]}});
}

static void release(struct story *story, const uint64_t *n)
{
    driver_rank_says(story->d, (uint32_t)n[0],
                     (struct message){.type = MESSAGE_RELEASE,
                                      .release = {.slot = (uint32_t)n[1], .generation = n[2]}});
}

static void work_done(struct story *story, const uint64_t *n)
{
    driver_work(story->d, story->works[n[0]], CKPT_OK, (uint8_t)n[1]);
}

static void time_passes(struct story *story, const uint64_t *n)
{
    driver_tick(story->d, n[0]);
}

static const struct {
    const char *format;
    int count;
    void (*happens)(struct story *story, const uint64_t *n);
} words[] = {
    {"order %llu: pull step %llu rank %llu, %llu bytes, from n2%n", 4, order},
    {"coordinator knows of slot %llu%n", 1, ack},
    {"step %llu is consistent%n", 1, consistent},
    {"verdict: load %llu is step %llu%n", 2, verdict},
    {"n2 offers slot %llu gen %llu, %llu bytes%n", 3, offer},
    {"n2 agrees to the end%n", 0, offer_closed},
    {"process %llu asks for a slot: step %llu, %llu bytes%n", 3, slot_ask},
    {"process %llu seals step %llu: slot %llu gen %llu%n", 4, seal},
    {"process %llu asks for load %llu: step %llu%n", 3, load_ask},
    {"process %llu releases slot %llu gen %llu%n", 3, release},
    {"the work of slot %llu ends, digest %llu%n", 2, work_done},
    {"%llu ms pass%n", 1, time_passes},
};

static void hear(struct story *story, const char *line)
{
    for (size_t i = 0; i < ROWS(words); i++) {
        unsigned long long n[STORY_NUMBERS_MAX] = {0};
        int end = 0;
        /* Numbers, then where the words end; a format with fewer of them writes only those. */
        void *at[STORY_NUMBERS_MAX + 1] = {&end, &end, &end, &end, &end};
        for (int j = 0; j < words[i].count; j++) {
            at[j] = &n[j];
        }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        int count = sscanf(line, words[i].format, at[0], at[1], at[2], at[3], at[4]);
#pragma GCC diagnostic pop
        if (count == words[i].count && end > 0 && line[end] == '\0') {
            words[i].happens(story, (const uint64_t[]){n[0], n[1], n[2], n[3]});
            return;
        }
    }
    fail_msg("no event is: %s", line);
}

/* --- What it brings --------------------------------------------------------------------- */

static void add_record(struct story *story, const struct slot_record *record)
{
    static const char *const states[] = {"FREE",    "FILLING",  "SEALED", "PULLING",
                                         "ADOPTED", "VERIFIED", "DIRTY"};
    assert_true((unsigned)record->state < ROWS(states));
    story_add(&story->told, "< store slot %u %s gen %llu\n", record->slot, states[record->state],
              (unsigned long long)record->generation);
}

static void add_work(struct story *story, const struct agent_work *work)
{
    static const char *const names[] = {[AGENT_WORK_DIGEST] = "digest",
                                        [AGENT_WORK_READ] = "read",
                                        [AGENT_WORK_GATHER] = "gather",
                                        [AGENT_WORK_CANCEL] = "cancel",
                                        [AGENT_WORK_RENEW] = "renew"};
    if (work->type == AGENT_WORK_PEER_CONNECT) {
        assert_true((work->link & AGENT_LINK_MADE_HERE) != 0);
        story->link = work->link;
        story_add(&story->told, "< connect %s\n", work->address);
    } else if (work->type == AGENT_WORK_PEER_CLOSE) {
        assert_int_equal(work->link, story->link);
        story_add(&story->told, "< close n2\n");
    } else {
        story_add(&story->told, "< %s slot %u, %llu bytes\n", names[work->type], work->slot,
                  (unsigned long long)work->bytes);
    }
    if (work->work != 0) {
        story->works[work->slot] = work->work;
    }
}

static void add_message(struct story *story, const struct agent_outgoing *out)
{
    const struct message *message = &out->message;
    char body[320];
    if (out->target == AGENT_TO_COORDINATOR) {
        story_add(&story->told, "< coordinator: ");
    } else if (out->target == AGENT_TO_RANK) {
        story_add(&story->told, "< process %u: ", out->link);
    } else {
        assert_int_equal(out->link, story->link);
        story_add(&story->told, "< n2: ");
    }
    describe_body(message, body, sizeof body);
    const char *name = message->type == MESSAGE_NONE ? "" : message_type_name(message->type);
    story_add(&story->told, "%s%s%s%s\n", name, body,
              out->attach == ATTACH_WRITABLE    ? ", writable"
              : out->attach == ATTACH_READ_ONLY ? ", read-only"
              : out->attach == ATTACH_REGIONS   ? ", its regions"
                                                : "",
              out->close ? "closed" : "");
    if (message->type == MESSAGE_OFFER_ASK) {
        story->pull = message->offer_ask.pull;
    } else if (message->type == MESSAGE_LOAD_ASK) {
        story->asked = message->load_ask;
    }
}

static void add_update(struct story *story)
{
    const struct agent_update *update = &story->d->update;
    for (uint32_t i = 0; i < update->record_count; i++) {
        add_record(story, &update->records[i]);
    }
    for (uint32_t i = 0; i < update->work_count; i++) {
        add_work(story, &update->works[i]);
    }
    for (uint32_t i = 0; i < update->message_count; i++) {
        add_message(story, &update->messages[i]);
    }
}

static void hear_and_do(void *context, const char *event)
{
    hear(context, event);
    add_update(context);
}

void driver_story(struct driver *d, const char *text)
{
    struct story story = {.d = d};
    story_tell(&story.told, text, hear_and_do, &story);
}
