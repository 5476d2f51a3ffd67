/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/group.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/reason.h"
#include "fanout/road_nccl.h"
#include "fanout/road_sockets.h"
#include "fanout/talk.h"

#define STALL_MS_DEFAULT 10000
#define PIECE_BYTES_DEFAULT (16 * CKPT_MIB)
#define MEET_EVERY_MS 2 /* a road that cannot say when there is news is asked so often */

/* The first of them that all ranks have is taken. */
static const struct {
    const struct fanout_road *ops;
    enum ckpt_fanout_road name;
} table[GROUP_ROADS] = {{&road_nccl, CKPT_FANOUT_NCCL}, {&road_sockets, CKPT_FANOUT_SOCKETS}};

/* What an id is; the rest of its bytes are zeros. */
struct id {
    uint32_t version;
    uint32_t ranks;
    uint8_t token[TOKEN_BYTES];
    char door[TCP_ADDRESS_BYTES];
};
_Static_assert(sizeof(struct id) <= CKPT_FANOUT_ID_BYTES, "an id has room for it");

enum ckpt_status group_open(const struct ckpt_fanout_options *options,
                            struct ckpt_fanout **group_out, char *reason)
{
    struct ckpt_fanout *group = calloc(1, sizeof(*group));
    if (group == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "fan-out: no memory for a group");
    }
    group->rank = options->rank;
    group->ranks = options->ranks;
    group->device = options->device;
    group->wish = options->road;
    group->sender_count = options->senders > 0 ? options->senders : 1;
    group->settings.shape = options->shape;
    group->settings.stall_ms = options->stall_ms > 0 ? options->stall_ms : STALL_MS_DEFAULT;
    group->settings.piece_bytes =
        options->piece_bytes > 0 ? options->piece_bytes : PIECE_BYTES_DEFAULT;
    if (options->address != NULL) {
        memcpy(group->address, options->address, strlen(options->address) + 1);
    }
    enum ckpt_status status = CKPT_OK;
    if (group_leads(group)) {
        const char *host = options->address != NULL ? options->address : "127.0.0.1";
        status =
            getrandom(group->token, TOKEN_BYTES, 0) == TOKEN_BYTES
                ? star_listen(host, group->ranks, group->token, &group->star, group->door, reason)
                : reason_refuse(reason, CKPT_ERR_SYSTEM, "fan-out: getrandom failed");
    }
    if (status != CKPT_OK) {
        group_close(group);
        return status;
    }
    *group_out = group;
    return CKPT_OK;
}

void group_id(const struct ckpt_fanout *group, uint8_t id_out[CKPT_FANOUT_ID_BYTES])
{
    struct id id = {.version = WORDS_VERSION, .ranks = group->ranks};
    memcpy(id.token, group->token, TOKEN_BYTES);
    memcpy(id.door, group->door, sizeof(id.door));
    memset(id_out, 0, CKPT_FANOUT_ID_BYTES);
    memcpy(id_out, &id, sizeof(id));
}

static void close_roads(struct ckpt_fanout *group)
{
    for (size_t i = 0; i < GROUP_ROADS; i++) {
        if (group->roads[i] != NULL) {
            table[i].ops->close(group->roads[i]);
            group->roads[i] = NULL;
        }
    }
}

void group_close(struct ckpt_fanout *group)
{
    if (group->road != NULL) {
        group->ops->close(group->road);
    }
    close_roads(group);
    star_close(&group->star);
    free(group);
}

static enum ckpt_status enter(struct ckpt_fanout *group, const uint8_t *bytes)
{
    struct id id;
    memcpy(&id, bytes, sizeof(id));
    id.door[sizeof(id.door) - 1] = '\0';
    if (id.version != WORDS_VERSION) {
        return reason_refuse(group->reason, CKPT_ERR_VERSION,
                             "fan-out: the id is of version %u, and this library of %u: all ranks "
                             "want one libckpt",
                             id.version, WORDS_VERSION);
    }
    if (id.ranks != group->ranks) {
        return reason_refuse(group->reason, CKPT_ERR_WORLD,
                             "fan-out: the group of the id has %u ranks, not %u", id.ranks,
                             group->ranks);
    }
    memcpy(group->token, id.token, TOKEN_BYTES);
    return star_connect(id.door, &group->star, group->reason);
}

/* Opens the roads that may be chosen. Where NCCL is wanted, a rank that has none says so. */
static enum ckpt_status open_roads(struct ckpt_fanout *group)
{
    char host[TCP_ADDRESS_BYTES] = "127.0.0.1";
    char why[CKPT_REASON_MAX + 1];
    enum ckpt_status status = CKPT_OK;
    if (group->address[0] != '\0') {
        memcpy(host, group->address, sizeof(host));
    } else if (!group_leads(group)) {
        status = star_host(group->star, host);
    }
    for (size_t i = 0; i < GROUP_ROADS && status == CKPT_OK; i++) {
        if (group->wish != CKPT_FANOUT_AUTO && group->wish != (uint32_t)table[i].name) {
            continue;
        }
        memcpy(group->ways_in[i], host, sizeof(host));
        status = table[i].ops->open(&group->roads[i], group->ways_in[i], group->device, why);
        if (status == CKPT_ERR_UNSUPPORTED) { /* the leader says no where no other is left */
            reason_set(group->reason, "%s", why);
            status = CKPT_OK;
        }
    }
    return status == CKPT_OK ? CKPT_OK : reason_refuse(group->reason, status, "%s", why);
}

struct joins {
    uint32_t with_nccl;
    char (*addresses)[ROAD_ADDRESS_BYTES];
};

static enum ckpt_status take_join(struct ckpt_fanout *group, const struct word *word, void *context)
{
    struct joins *joins = context;
    struct word_join join;
    memcpy(&join, word->body, sizeof(join));
    if (join.ranks != group->ranks) {
        return reason_refuse(group->reason, CKPT_ERR_WORLD,
                             "fan-out: rank %u believes in a group of %u ranks, not %u", word->from,
                             join.ranks, group->ranks);
    }
    join.address[sizeof(join.address) - 1] = '\0';
    memcpy(joins->addresses[word->from], join.address, sizeof(join.address));
    joins->with_nccl += join.has_nccl != 0;
    return CKPT_OK;
}

/* Takes the road that holds, and ends the others. */
static enum ckpt_status choose(struct ckpt_fanout *group, uint32_t name)
{
    for (size_t i = 0; i < GROUP_ROADS; i++) {
        if ((uint32_t)table[i].name == name && group->roads[i] != NULL) {
            group->ops = table[i].ops;
            group->road = group->roads[i];
            group->roads[i] = NULL;
        }
    }
    close_roads(group);
    return group->road != NULL ? CKPT_OK
                               : reason_refuse(group->reason, CKPT_ERR_UNSUPPORTED,
                                               "fan-out: this rank has not the leader's road");
}

/* The leader hears who is there, and says by what they go. */
static enum ckpt_status tell_start(struct ckpt_fanout *group, struct word_start *word, size_t bytes,
                                   struct deadline deadline)
{
    struct joins joins = {.with_nccl = group->roads[0] != NULL, .addresses = word->addresses};
    memcpy(word->addresses[0], group->ways_in[1], ROAD_ADDRESS_BYTES);
    struct talk_roll roll = {
        .type = WORD_JOIN, .bytes = sizeof(struct word_join), .take = take_join, .context = &joins};
    enum ckpt_status status = talk_collect(group, &roll, deadline);
    if (status != CKPT_OK) {
        return status;
    }
    bool all = joins.with_nccl == group->ranks;
    if (!all && group->wish == CKPT_FANOUT_NCCL) {
        return reason_refuse(group->reason, CKPT_ERR_UNSUPPORTED,
                             "fan-out: %u of %u ranks have NCCL and a GPU: take sockets, or "
                             "CKPT_FANOUT_AUTO",
                             joins.with_nccl, group->ranks);
    }
    group->settings.road = all ? CKPT_FANOUT_NCCL : CKPT_FANOUT_SOCKETS;
    group->settings.senders = group->sender_count;
    status = choose(group, group->settings.road);
    if (status == CKPT_OK) {
        status = group->ops->key(group->road, group->settings.key, group->reason);
    }
    if (status == CKPT_OK) {
        word->settings = group->settings;
        star_send(group->star, STAR_ALL, WORD_START, 0, word, bytes);
    }
    return status;
}

static bool makes_sense(const struct word_settings *settings, uint32_t ranks)
{
    return settings->senders > 0 && settings->senders <= ranks && settings->piece_bytes > 0 &&
           settings->piece_bytes <= FANOUT_PIECE_BYTES_MAX &&
           settings->piece_bytes % CKPT_MIB == 0 && settings->shape <= FANOUT_STAR &&
           settings->stall_ms > 0;
}

/* Another rank says who it is, and hears by what they go. */
static enum ckpt_status hear_start(struct ckpt_fanout *group, struct word_start *start,
                                   size_t bytes, struct deadline deadline)
{
    struct word word;
    struct word_join join = {
        .rank = group->rank, .ranks = group->ranks, .has_nccl = group->roads[0] != NULL};
    memcpy(join.token, group->token, TOKEN_BYTES);
    memcpy(join.address, group->ways_in[1], sizeof(join.address));
    star_send(group->star, 0, WORD_JOIN, 0, &join, sizeof(join));
    enum ckpt_status status = talk_await(group, WORD_START, bytes, deadline, &word);
    if (status != CKPT_OK) {
        return status;
    }
    memcpy(start, word.body, bytes);
    if (!makes_sense(&start->settings, group->ranks)) {
        return reason_refuse(group->reason, CKPT_ERR_PROTOCOL,
                             "fan-out: the leader's settings make no sense");
    }
    for (uint32_t i = 0; i < group->ranks; i++) {
        start->addresses[i][ROAD_ADDRESS_BYTES - 1] = '\0';
    }
    group->settings = start->settings;
    group->sender_count = start->settings.senders;
    return choose(group, start->settings.road);
}

/* The road reaches the others, while the group listens for who gives up, and the leader for who is
 * there before it. */
static enum ckpt_status meet(struct ckpt_fanout *group, const struct word_start *start,
                             struct talk_roll *met, struct deadline deadline)
{
    struct road_setup setup = {.rank = group->rank,
                               .ranks = group->ranks,
                               .device = group->device,
                               .piece_bytes = group->settings.piece_bytes,
                               .pace_bytes_s = group->pace_bytes_s,
                               .key = group->settings.key,
                               .addresses = start->addresses};
    for (;;) {
        struct word word;
        enum ckpt_status status = group->ops->meet(group->road, &setup, group->reason);
        if (status != CKPT_ERR_BUSY) {
            return status;
        }
        if (deadline_left_ms(deadline) == 0) {
            return reason_refuse(group->reason, CKPT_ERR_TIMEOUT,
                                 "fan-out: %s: the ranks have not met in time", group->ops->name);
        }
        if (star_take(group->star, -1, MEET_EVERY_MS, &word) == CKPT_OK) {
            status = talk_note(group, met, &word);
            if (status != CKPT_OK) {
                return status;
            }
        }
    }
}

static enum ckpt_status take_met(struct ckpt_fanout *group, const struct word *word, void *context)
{
    (void)context;
    return talk_read_outcome(word, group->reason);
}

static enum ckpt_status come_together(struct ckpt_fanout *group, struct word_start *word,
                                      size_t bytes, struct deadline deadline)
{
    struct word go;
    struct talk_roll met = {
        .type = WORD_MET, .bytes = sizeof(struct word_outcome), .take = take_met};
    enum ckpt_status status = open_roads(group);
    if (status == CKPT_OK) {
        status = group_leads(group) ? tell_start(group, word, bytes, deadline)
                                    : hear_start(group, word, bytes, deadline);
    }
    if (status == CKPT_OK) {
        status = meet(group, word, &met, deadline);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (!group_leads(group)) {
        talk_outcome(group, 0, WORD_MET, CKPT_OK, "");
        return talk_await(group, WORD_GO, 0, deadline, &go);
    }
    status = talk_collect(group, &met, deadline);
    if (status == CKPT_OK) {
        star_send(group->star, STAR_ALL, WORD_GO, 0, NULL, 0);
    }
    return status;
}

enum ckpt_status group_join(struct ckpt_fanout *group, const uint8_t *id, uint32_t timeout_ms)
{
    struct deadline deadline = deadline_after_ms(timeout_ms);
    size_t bytes = sizeof(struct word_start) + (size_t)group->ranks * ROAD_ADDRESS_BYTES;
    struct word_start *start = calloc(1, bytes);
    enum ckpt_status status = start == NULL ? reason_refuse(group->reason, CKPT_ERR_MEMORY,
                                                            "fan-out: no memory for its settings")
                                            : CKPT_OK;
    if (status == CKPT_OK && !group_leads(group)) {
        status = enter(group, id);
    }
    if (status == CKPT_OK) {
        status = come_together(group, start, bytes, deadline);
        group->is_whole = status == CKPT_OK;
        if (status != CKPT_OK) {
            (void)talk_give_up(group, status);
        }
    }
    close_roads(group);
    free(start);
    return status;
}
