/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/real_agent.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/reason.h"
#include "cluster/real_parcels.h"

#define UID 1000
#define RUN "pretraining/70b"
#define ATTEMPT 1
#define RECEIVE_BYTES_MAX 65536
#define OUTPUT_BYTES_MAX (4 * CKPT_MIB)
#define CONNECT_TIMEOUT_MS 30000

/* ---- what is played ---- */

/* Nobody has the bytes: equal shards have equal digests, and that is all that matters here. */
static struct digest digest_of(const struct shard_key *shard)
{
    struct digest digest = {{0}};
    store_le64(digest.bytes, shard->step);
    store_le32(digest.bytes + 8, shard->rank);
    store_le32(digest.bytes + 12, shard->attempt);
    digest.bytes[31] = 1;
    return digest;
}

static struct real_peer *peer_find(struct real_agent *agent, uint32_t link)
{
    for (size_t i = 0; i < REAL_PEERS_MAX; i++) {
        if (agent->peers[i].used && agent->peers[i].link == link) {
            return &agent->peers[i];
        }
    }
    return NULL;
}

static bool peer_add(struct real_agent *agent, uint32_t link, uint32_t other, uint32_t other_link)
{
    for (size_t i = 0; i < REAL_PEERS_MAX; i++) {
        if (!agent->peers[i].used) {
            agent->peers[i] = (struct real_peer){
                .used = true, .link = link, .other = other, .other_link = other_link};
            return true;
        }
    }
    return false;
}

static void peer_connect(struct real_agent *agent, const struct agent_work *work)
{
    struct real_fleet *fleet = agent->fleet;
    unsigned long index = strtoul(work->address + 1, NULL, 10);
    struct real_agent *other = index < fleet->options.agents ? &fleet->agents[index] : NULL;
    uint32_t link = other != NULL ? other->next_link++ : 0;
    if (other == NULL || !peer_add(agent, work->link, other->index, link) ||
        !peer_add(other, link, agent->index, work->link)) {
        real_fleet_fail(fleet, CKPT_ERR_FULL, "agent %" PRIu32 " has more than %d peers",
                        agent->index, REAL_PEERS_MAX);
    }
}

static void peer_close(struct real_agent *agent, uint32_t link)
{
    struct real_peer *peer = peer_find(agent, link);
    if (peer == NULL) {
        return;
    }
    struct real_agent *other = &agent->fleet->agents[peer->other];
    struct real_peer *back = peer_find(other, peer->other_link);
    struct agent_event event = {.type = AGENT_PEER_DOWN, .link = link};
    real_fleet_post(agent->fleet, agent->index, &event, NULL);
    event.link = peer->other_link;
    real_fleet_post(agent->fleet, other->index, &event, NULL);
    peer->used = false;
    if (back != NULL) {
        back->used = false;
    }
}

static void work(struct real_agent *agent, const struct agent_work *work)
{
    struct agent_event event = {.type = AGENT_WORK_DONE, .work = work->work};
    struct agent_slot_view slot;
    switch (work->type) {
    case AGENT_WORK_DIGEST:
    case AGENT_WORK_READ:
        if (agent_slot_view(agent->machine, work->slot, &slot)) {
            event.digest = digest_of(&slot.shard);
        }
        real_fleet_post(agent->fleet, agent->index, &event, NULL);
        break;
    case AGENT_WORK_GATHER:
    case AGENT_WORK_RENEW:
        real_fleet_post(agent->fleet, agent->index, &event, NULL);
        break;
    case AGENT_WORK_CANCEL:
        break; /* what it cancels has ended */
    case AGENT_WORK_PEER_CONNECT:
        peer_connect(agent, work);
        break;
    case AGENT_WORK_PERSIST:
    case AGENT_WORK_MANIFEST:
        break; /* no agent here has a tier */
    case AGENT_WORK_PEER_CLOSE:
        peer_close(agent, work->link);
        break;
    }
}

/* ---- ranks ---- */

void real_agent_rank_says(struct real_agent *agent, uint32_t rank, const struct message *message)
{
    struct agent_event event = {.type = AGENT_RANK_MESSAGE, .link = rank + 1, .uid = UID};
    real_fleet_post(agent->fleet, agent->index, &event, message);
}

static void open_rank(struct real_agent *agent, uint32_t rank)
{
    const struct real_fleet_options *options = &agent->fleet->options;
    struct agent_event up = {.type = AGENT_RANK_UP, .link = rank + 1, .uid = UID};
    struct message message = {.type = MESSAGE_RANK_OPEN};
    message.rank_open = (struct message_rank_open){
        .run = RUN,
        .attempt = ATTEMPT,
        .rank = agent->index * options->ranks + rank,
        .world = options->agents * options->ranks,
        .copies = options->copies,
    };
    real_fleet_post(agent->fleet, agent->index, &up, NULL);
    real_agent_rank_says(agent, rank, &message);
}

static void seal(struct real_agent *agent, uint32_t rank, const struct message_slot_granted *slot)
{
    struct message message = {.type = MESSAGE_SEAL};
    message.seal = (struct message_seal){
        .step = slot->step, .slot = slot->slot, .generation = slot->generation};
    agent->ranks[rank] = RANK_SEALED;
    real_agent_rank_says(agent, rank, &message);
}

/* What an agent tells one of its ranks. */
static void tell_rank(struct real_agent *agent, uint32_t link, const struct message *message)
{
    struct real_fleet *fleet = agent->fleet;
    uint32_t rank = link - 1;
    if (link < 1 || rank >= fleet->options.ranks) {
        return;
    }
    enum real_rank_state *state = &agent->ranks[rank];
    if (message->type == MESSAGE_RANK_OPENED && message->rank_opened.status != CKPT_OK) {
        real_fleet_fail(fleet, message->rank_opened.status, "a rank may not open: %.200s",
                        message->rank_opened.reason);
    } else if (message->type == MESSAGE_RANK_OPENED && *state == RANK_CLOSED) {
        *state = RANK_OPEN;
        fleet->open_ranks++;
    } else if (message->type == MESSAGE_SLOT_GRANTED && message->slot_granted.status != CKPT_OK) {
        real_fleet_fail(fleet, message->slot_granted.status, "a save is refused: %.200s",
                        message->slot_granted.reason);
    } else if (message->type == MESSAGE_SLOT_GRANTED && *state == RANK_WANTS_SLOT) {
        seal(agent, rank, &message->slot_granted);
    } else if (message->type == MESSAGE_SAVE_OUTCOME && *state == RANK_SEALED &&
               message->save_outcome.step == fleet->step) {
        *state = RANK_OPEN;
        fleet->saved_ranks++;
        if (message->save_outcome.status != CKPT_OK) {
            real_fleet_fail(fleet, message->save_outcome.status, "step %" PRIu64 ": %.200s",
                            fleet->step, message->save_outcome.reason);
        }
    }
}

/* ---- an update ---- */

static void tell_peer(struct real_agent *agent, const struct agent_outgoing *out)
{
    static const uint8_t descriptor[1] = {0};
    static const struct message_region region = {.bytes = 1, .descriptor = descriptor};
    const struct real_peer *peer = peer_find(agent, out->link);
    if (peer != NULL && out->message.type != MESSAGE_NONE) {
        struct agent_event event = {.type = AGENT_PEER_MESSAGE, .link = peer->other_link};
        struct message message = out->message;
        message.incarnation = agent->incarnation;
        if (out->attach == ATTACH_REGIONS) {
            message.offer.region_count = 1;
            message.offer.regions = &region;
            message.offer.worker_address_bytes = 1;
            message.offer.worker_address = descriptor;
        }
        real_fleet_post(agent->fleet, peer->other, &event, &message);
    }
    if (out->close) {
        peer_close(agent, out->link);
    }
}

static void tell_coordinator(struct real_agent *agent, const struct agent_outgoing *out)
{
    if (agent->session == NULL) {
        return;
    }
    if (out->message.type != MESSAGE_NONE) {
        enum ckpt_status status = session_send(agent->session, &out->message, NULL, 0);
        if (status != CKPT_OK && status != CKPT_ERR_LINK) {
            real_fleet_fail(agent->fleet, status, "a message cannot be sent: %s",
                            ckpt_status_name(status));
        }
        agent->fleet->counters.frames_sent++;
    }
    if (out->close) {
        session_close(agent->session);
    }
}

static void send_all(struct real_agent *agent, const struct agent_update *update)
{
    for (uint32_t i = 0; i < update->message_count; i++) {
        const struct agent_outgoing *out = &update->messages[i];
        switch (out->target) {
        case AGENT_TO_COORDINATOR:
            tell_coordinator(agent, out);
            break;
        case AGENT_TO_PEER:
            tell_peer(agent, out);
            break;
        case AGENT_TO_RANK:
            tell_rank(agent, out->link, &out->message);
            break;
        }
    }
}

static void set_joined(struct real_agent *agent, bool joined)
{
    agent->fleet->counters.joined += (uint32_t)joined - (uint32_t)agent->joined;
    agent->joined = joined;
}

static void read_notes(struct real_agent *agent, const struct agent_update *update)
{
    for (uint32_t i = 0; i < update->note_count; i++) {
        const struct machine_note *note = &update->notes[i];
        if (note->event == EVENT_joined) {
            set_joined(agent, true);
        } else if (event_level(note->event) == LOG_LEVEL_ERROR) {
            real_fleet_fail(agent->fleet, CKPT_ERR_PROTOCOL, "%s: %.200s", event_name(note->event),
                            note->text);
        }
    }
}

static void arm(struct real_agent *agent, const struct agent_update *update)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t due_ms = update->again ? now_ms : update->deadline_ms;
    if (due_ms == agent->armed_ms) {
        return;
    }
    agent->armed_ms = due_ms;
    if (due_ms == UINT64_MAX) {
        evtimer_del(agent->deadline);
        return;
    }
    uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
                           .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000};
    evtimer_add(agent->deadline, &wait);
}

void real_agent_advance(struct real_agent *agent, struct agent_event *event)
{
    struct agent_update *update = &agent->fleet->update;
    event->now_ms = clock_now_ms();
    enum ckpt_status status = agent_advance(agent->machine, event, update);
    if (status != CKPT_OK) {
        real_fleet_fail(agent->fleet, status, "an agent's machine says %s to event %d",
                        ckpt_status_name(status), (int)event->type);
        return;
    }
    for (uint32_t i = 0; i < update->work_count; i++) {
        work(agent, &update->works[i]);
    }
    send_all(agent, update);
    read_notes(agent, update);
    arm(agent, update);
}

/* ---- the session ---- */

static void on_opened(struct session *session, void *context)
{
    struct real_agent *agent = context;
    struct agent_event event = {.type = AGENT_COORDINATOR_UP};
    (void)session;
    real_agent_advance(agent, &event);
}

static void on_message(struct session *session, const struct message *message, void *context)
{
    struct real_agent *agent = context;
    struct agent_event event = {.type = AGENT_COORDINATOR_MESSAGE, .message = message};
    (void)session;
    agent->fleet->counters.frames_received++;
    real_agent_advance(agent, &event);
}

static void on_closed(struct session *session, enum ckpt_status status, const char *reason,
                      void *context)
{
    struct real_agent *agent = context;
    struct agent_event event = {.type = AGENT_COORDINATOR_DOWN};
    (void)session;
    agent->session = NULL;
    set_joined(agent, false);
    real_fleet_fail(agent->fleet, status == CKPT_OK ? CKPT_ERR_LINK : status,
                    "agent %" PRIu32 " lost the coordinator: %.200s", agent->index,
                    reason != NULL ? reason : "");
    real_agent_advance(agent, &event);
}

static const struct session_events events = {
    .opened = on_opened, .message = on_message, .closed = on_closed};

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    struct real_agent *agent = context;
    struct agent_event event = {.type = AGENT_TICK};
    (void)fd;
    (void)what;
    agent->armed_ms = UINT64_MAX;
    real_agent_advance(agent, &event);
}

/* ---- life ---- */

static void configure(const struct real_fleet_options *options, uint32_t index,
                      struct agent_config *config_out)
{
    agent_config_default(config_out);
    snprintf(config_out->node, sizeof(config_out->node), "node%05" PRIu32 ".cluster.example",
             index);
    snprintf(config_out->domain, sizeof(config_out->domain), "rack%05" PRIu32,
             index / options->agents_per_domain);
    snprintf(config_out->address, sizeof(config_out->address), "a%" PRIu32, index);
    /* As docs/operating.md says, and one checkpoint more. */
    config_out->segments = (options->keep + 2) * options->copies * options->ranks;
    config_out->slots = config_out->segments;
    config_out->ranks_max = options->ranks;
    config_out->copies_default = options->copies;
    config_out->own_uid = UID;
}

static enum ckpt_status make_machine(struct real_agent *agent, char *reason)
{
    struct agent_config config;
    configure(&agent->fleet->options, agent->index, &config);
    size_t bytes = agent_memory_bytes(&config, reason);
    if (bytes == 0) {
        return CKPT_ERR_CONFIG;
    }
    size_t whole = (bytes + 63) / 64 * 64;
    agent->memory = aligned_alloc(64, whole);
    agent->ranks = calloc(agent->fleet->options.ranks, sizeof(*agent->ranks));
    if (agent->memory == NULL || agent->ranks == NULL ||
        getrandom(&agent->incarnation, sizeof(agent->incarnation), 0) !=
            sizeof(agent->incarnation)) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory for agent %" PRIu32, agent->index);
    }
    memset(agent->memory, 0, whole);
    return agent_init(agent->memory, whole, &config, agent->incarnation, agent->index,
                      &agent->machine);
}

enum ckpt_status real_agent_open(struct real_fleet *fleet, uint32_t index, char *reason)
{
    struct real_agent *agent = &fleet->agents[index];
    agent->fleet = fleet;
    agent->index = index;
    agent->armed_ms = UINT64_MAX;
    agent->next_link = fleet->options.ranks + 1;
    enum ckpt_status status = make_machine(agent, reason);
    struct session_hub_config config = {
        .incarnation = agent->incarnation,
        .sessions_max = 2,
        .receive_bytes_max = RECEIVE_BYTES_MAX,
        .output_bytes_max = OUTPUT_BYTES_MAX,
        .output_total_max = OUTPUT_BYTES_MAX,
        .linger_ms = 100,
    };
    if (status != CKPT_OK) {
        return status;
    }
    agent->deadline = evtimer_new(fleet->base, on_deadline, agent);
    status = agent->deadline == NULL ? CKPT_ERR_MEMORY
                                     : session_hub_open(fleet->base, &config, &agent->hub);
    if (status != CKPT_OK) {
        return reason_refuse(reason, status, "no memory for the session of agent %" PRIu32, index);
    }
    struct agent_event event = {.type = AGENT_ADOPT_END};
    real_agent_advance(agent, &event);
    for (uint32_t rank = 0; rank < fleet->options.ranks; rank++) {
        open_rank(agent, rank);
    }
    return session_connect(agent->hub, fleet->options.coordinator, CONNECT_TIMEOUT_MS, &events,
                           agent, &agent->session, reason);
}

void real_agent_close(struct real_agent *agent)
{
    if (agent->hub != NULL) {
        session_hub_close(&agent->hub);
    }
    if (agent->deadline != NULL) {
        event_free(agent->deadline);
    }
    free(agent->ranks);
    free(agent->memory);
}
