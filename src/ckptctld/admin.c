/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/admin.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "ckptctld/table_change.h"
#include "ckptctld/tables.h"
#include "ckptctld/tables_checkpoint.h"
#include "ckptctld/turn.h"
#include "ckptctld/waits.h"
#include "session/session.h"
#include "wire/message_codec.h"

static const char *const admins[] = {"none", "status", "full", NULL};

static const struct config_key keys[ADMIN_KEYS] = {
    [ADMIN_TCP] = {.section = "coordinator",
                   .name = "tcp_admin",
                   .flag = "tcp-admin",
                   .type = CONFIG_ENUM,
                   .choices = admins,
                   .fallback = "status",
                   .help = "what ckptctl may do over TCP, where its user is not known: full lets "
                           "anyone who reaches the port see and retire everything"},
};

struct part part_admin = {.keys = keys, .key_count = ADMIN_KEYS};

/* One ask on its way to an answer. */
struct ask {
    struct daemon *daemon;
    struct caller caller;
    const struct message_admin_ask *message;
    struct run_key run; /* with its owner known */
    char *reason;       /* CKPT_REASON_MAX + 1 bytes */
};

static enum ckpt_status refuse(const struct ask *ask, enum ckpt_status status, const char *reason)
{
    return reason_refuse(ask->reason, status, "%s", reason);
}

static bool names_a_node(enum admin_verb verb)
{
    return verb == ADMIN_NODE_DRAIN || verb == ADMIN_NODE_UNDRAIN || verb == ADMIN_NODE_FORGET ||
           verb == ADMIN_NODE_SHOW;
}

static bool names_a_run(enum admin_verb verb)
{
    return verb != ADMIN_STATUS && verb != ADMIN_NODES && verb != ADMIN_RUNS && !names_a_node(verb);
}

/* Who asks, and whether that verb may be asked so. */
static enum ckpt_status find_caller(struct ask *ask, const struct session *session)
{
    const struct options *options = &ask->daemon->options;
    if (session_is_local(session)) {
        ask->caller.uid = session_uid(session);
        ask->caller.privileged = ask->caller.uid == 0 || ask->caller.uid == geteuid();
        return CKPT_OK;
    }
    ask->caller.uid = ask->message->run.uid;
    ask->caller.privileged = options->tcp_admin == TCP_ADMIN_FULL;
    bool is_harmless = ask->message->verb == ADMIN_STATUS || ask->message->verb == ADMIN_NODES;
    if (options->tcp_admin == TCP_ADMIN_FULL ||
        (options->tcp_admin == TCP_ADMIN_STATUS && is_harmless)) {
        return CKPT_OK;
    }
    return refuse(ask, CKPT_ERR_DENIED,
                  "not over TCP, where your user is not known: use ckptctl on the coordinator's "
                  "node, or set tcp_admin there");
}

static enum ckpt_status refuse_unknown(const struct ask *ask)
{
    return reason_refuse(ask->reason, CKPT_ERR_NOT_FOUND, "no run %s is known", ask->run.name);
}

/* A privileged caller may leave the owner open, when one user alone has a run of the name. */
static enum ckpt_status find_owner(struct ask *ask)
{
    struct coordinator_run_view run;
    uint32_t found = 0;
    for (uint32_t i = 0; i < coordinator_run_count(ask->daemon->machine); i++) {
        if (coordinator_run_view(ask->daemon->machine, i, &run) &&
            strcmp(run.key.name, ask->run.name) == 0) {
            ask->run.uid = run.key.uid;
            found++;
        }
    }
    if (found == 0) {
        return refuse_unknown(ask);
    }
    if (found > 1) {
        return refuse(ask, CKPT_ERR_INVALID,
                      "several users have a run of this name: say whose with --user");
    }
    return CKPT_OK;
}

static enum ckpt_status find_run(struct ask *ask)
{
    struct coordinator_run_view run;
    ask->run = ask->message->run;
    if (!name_is_valid(ask->run.name, CKPT_RUN_NAME_MAX)) {
        return refuse(ask, CKPT_ERR_NAME, "that is no name of a run");
    }
    if (ask->caller.privileged && ask->run.uid == CKPT_UID_ANY) {
        return find_owner(ask);
    }
    if (ask->run.uid == CKPT_UID_ANY) {
        ask->run.uid = ask->caller.uid;
    }
    if (!ask->caller.privileged && ask->run.uid != ask->caller.uid) {
        return refuse(ask, CKPT_ERR_DENIED, "that is another user's run");
    }
    for (uint32_t i = 0; i < coordinator_run_count(ask->daemon->machine); i++) {
        if (coordinator_run_view(ask->daemon->machine, i, &run) &&
            run_key_equal(&run.key, &ask->run)) {
            return CKPT_OK;
        }
    }
    return refuse_unknown(ask);
}

static void send_answer(struct daemon *daemon, struct session *session, struct message *reply)
{
    reply->epoch = coordinator_epoch(daemon->machine);
    enum ckpt_status status = session_send(session, reply, NULL, 0);
    if (status != CKPT_OK) {
        log_event(EVENT_answer_unsent, "peer=%s status=%s", session_peer(session),
                  ckpt_status_name(status));
    }
}

static const char *verb_name(enum admin_verb verb)
{
    switch ((int)verb) {
    case ADMIN_VERIFY:
        return "verify";
    case ADMIN_RETIRE:
        return "retire";
    case ADMIN_NODE_DRAIN:
        return "node-drain";
    case ADMIN_NODE_UNDRAIN:
        return "node-undrain";
    case ADMIN_NODE_FORGET:
        return "node-forget";
    case ADMIN_RUN_FORGET:
        return "forget";
    default:
        return "mark";
    }
}

/* The change is on record, or was refused. */
static void changed(struct daemon *daemon)
{
    const struct asked_change *change = &daemon->change;
    const struct message_admin_ask *ask = &change->ask;
    struct session *session = session_find(change->hub, change->link);
    struct message reply = {.type = MESSAGE_ADMIN_ANSWER};
    char *text = NULL;
    reply.admin_answer.cookie = ask->cookie;
    reply.admin_answer.status = daemon->update.admin_status;
    memcpy(reply.admin_answer.reason, daemon->update.admin_reason, CKPT_REASON_MAX + 1);
    log_event(EVENT_admin,
              "verb=%s caller=%" PRIu32 " run=%s uid=%" PRIu32 " step=%" PRIu64
              " newer=%d mark=%d node=%s status=%s",
              verb_name(ask->verb), change->uid, LOG_QUOTED(ask->run.name), ask->run.uid, ask->step,
              (int)ask->newer, (int)ask->mark, LOG_QUOTED(ask->node),
              ckpt_status_name(daemon->update.admin_status));
    if (daemon->update.admin_status == CKPT_OK) {
        json_t *document = table_change(&daemon->update, &ask->run);
        if (ask->blake3 && document) {
            json_object_set_new(document, "blake3", json_true());
        }
        text = document ? json_dumps(document, JSON_COMPACT) : NULL;
        json_decref(document);
        reply.admin_answer.json = text ? text : "{}";
        reply.admin_answer.json_bytes = (uint32_t)strlen(reply.admin_answer.json);
    }
    if (session) {
        send_answer(daemon, session, &reply);
    }
    free(text);
}

/* The verbs that change something go through the machine, and are answered when what they change is
 * on record. One at a time: nobody is heard until then. */
static void change(const struct ask *ask, struct session *session)
{
    struct daemon *daemon = ask->daemon;
    daemon->change = (struct asked_change){
        .hub = session_is_local(session) ? daemon->local : daemon->agents,
        .link = session_link(session),
        .uid = ask->caller.uid,
        .ask = *ask->message,
    };
    daemon->change.ask.run = ask->run;
    struct coordinator_event event = {.type = COORDINATOR_ADMIN, .admin = &daemon->change.ask};
    turn_event(daemon, &event, changed);
}

static enum ckpt_status show(const struct ask *ask, json_t **document_out)
{
    uint32_t index;
    if (!table_find_checkpoint(ask->daemon, &ask->run, ask->message->step, &index)) {
        return refuse(ask, CKPT_ERR_NOT_FOUND,
                      ask->message->step == CKPT_STEP_LATEST
                          ? "the run has no consistent checkpoint"
                          : "no such checkpoint of this run");
    }
    *document_out = ask->message->blake3 ? table_names(ask->daemon, index, ask->message->from)
                                         : table_shards(ask->daemon, index, ask->message->from);
    return *document_out || !ask->message->blake3
               ? CKPT_OK
               : refuse(ask, CKPT_ERR_NOT_FOUND,
                        "nobody has asked for BLAKE3 of these copies since this coordinator was "
                        "started, or others were asked for since: repeat it");
}

static bool changes_something(enum admin_verb verb)
{
    return verb == ADMIN_VERIFY || verb == ADMIN_RETIRE || verb == ADMIN_MARK ||
           verb == ADMIN_RUN_FORGET || (names_a_node(verb) && verb != ADMIN_NODE_SHOW);
}

/* What stands in the tables may not be on record yet: while that waits, nothing is said of it. */
static enum ckpt_status refuse_waiting(const struct ask *ask)
{
    const struct daemon *daemon = ask->daemon;
    return reason_refuse(ask->reason, CKPT_ERR_TIMEOUT,
                         "the coordinator has waited for its records for %" PRIu64 " s: %s",
                         (clock_now_ms() - daemon->commit.since_ms) / 1000, waits_text(daemon));
}

static enum ckpt_status answer(const struct ask *ask, json_t **document_out)
{
    const struct daemon *daemon = ask->daemon;
    uint32_t from = ask->message->from;
    switch (ask->message->verb) {
    case ADMIN_STATUS:
        *document_out = table_status(daemon, &ask->caller);
        return CKPT_OK;
    case ADMIN_NODES:
        *document_out = table_nodes(daemon, from);
        return CKPT_OK;
    case ADMIN_RUNS:
        *document_out = table_runs(daemon, &ask->caller, from);
        return CKPT_OK;
    case ADMIN_LIST:
        *document_out = table_checkpoints(daemon, &ask->run, from);
        return CKPT_OK;
    case ADMIN_SHOW:
    case ADMIN_PLACEMENT:
        return show(ask, document_out);
    case ADMIN_NODE_SHOW:
        *document_out = table_drain(daemon, ask->message->node);
        return *document_out ? CKPT_OK : refuse(ask, CKPT_ERR_NOT_FOUND, "no such node is known");
    case ADMIN_VERIFY:
    case ADMIN_RETIRE:
    case ADMIN_MARK:
    case ADMIN_NODE_DRAIN:
    case ADMIN_NODE_UNDRAIN:
    case ADMIN_NODE_FORGET:
    case ADMIN_RUN_FORGET:
        break;
    }
    return refuse(ask, CKPT_ERR_INVALID, "no such verb");
}

void admin_answer(struct daemon *daemon, struct session *session, const struct message *message)
{
    struct message reply = {.type = MESSAGE_ADMIN_ANSWER};
    struct ask ask = {
        .daemon = daemon, .message = &message->admin_ask, .reason = reply.admin_answer.reason};
    json_t *document = NULL;
    char *text = NULL;
    enum ckpt_status status = find_caller(&ask, session);
    if (status == CKPT_OK && daemon->commit.is_under_way) {
        status = refuse_waiting(&ask);
    }
    if (status == CKPT_OK && names_a_run(ask.message->verb)) {
        status = find_run(&ask);
    }
    if (status == CKPT_OK && names_a_node(ask.message->verb) && !ask.caller.privileged) {
        status = refuse(&ask, CKPT_ERR_DENIED,
                        "nodes are for root, and for the user that ckptctld runs as");
    }
    if (status == CKPT_OK && changes_something(ask.message->verb)) {
        change(&ask, session);
        return;
    }
    if (status == CKPT_OK) {
        status = answer(&ask, &document);
    }
    if (status == CKPT_OK) {
        reply.admin_answer.reason[0] = '\0';
        text = document ? json_dumps(document, JSON_COMPACT) : NULL;
        status = text ? CKPT_OK : CKPT_ERR_MEMORY;
    }
    if (text && strlen(text) > MESSAGE_JSON_MAX) {
        status = refuse(&ask, CKPT_ERR_TOO_LARGE, "the answer does not fit one message");
    } else if (text) {
        reply.admin_answer.json = text;
        reply.admin_answer.json_bytes = (uint32_t)strlen(text);
    }
    reply.admin_answer.cookie = message->admin_ask.cookie;
    reply.admin_answer.status = status;
    send_answer(daemon, session, &reply);
    free(text);
    json_decref(document);
}
