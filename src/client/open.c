/* SPDX-License-Identifier: Apache-2.0 */
/* A context's life. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/reason.h"
#include "client/context.h"
#include "client/fork.h"
#include "client/gpu.h"
#include "client/indexes.h"
#include "client/load.h"
#include "client/prepare.h"
#include "client/rank.h"
#include "client/start_name.h"

#define SOCKET_DEFAULT "/run/ckptd/ckptd.sock"

/* How many tensors the scratch of a save has room for at first. */
#define TENSORS_AT_FIRST 1024

static enum ckpt_status check_numbers(struct ckpt *ckpt, const struct ckpt_options *options)
{
    if (options->copies > CKPT_COPIES_MAX) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "%u copies are asked for: at most %d are kept", options->copies,
                             CKPT_COPIES_MAX);
    }
    if (options->reader) {
        return CKPT_OK;
    }
    if (options->world == 0 || options->world > CKPT_WORLD_MAX) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID, "world is %u: it must be 1 to %d",
                             options->world, CKPT_WORLD_MAX);
    }
    if (options->rank >= options->world) {
        return reason_refuse(ckpt->reason, CKPT_ERR_RANK,
                             "rank %u is outside the world of %u: count from 0", options->rank,
                             options->world);
    }
    return CKPT_OK;
}

static enum ckpt_status check_texts(struct ckpt *ckpt, const struct ckpt_options *options,
                                    const char **socket_out)
{
    if (options->run == NULL || !name_is_valid(options->run, CKPT_RUN_NAME_MAX)) {
        return reason_refuse(
            ckpt->reason, CKPT_ERR_NAME,
            "the run's name must be 1 to %d of A-Z a-z 0-9 . _ / -, with no empty, "
            ". or .. part",
            CKPT_RUN_NAME_MAX);
    }
    const char *socket = options->socket;
    if (socket == NULL) {
        socket = getenv("CKPT_SOCKET");
    }
    if (socket == NULL || socket[0] == '\0') {
        socket = SOCKET_DEFAULT;
    }
    if (strlen(socket) > CKPT_ADDRESS_MAX) {
        return reason_refuse(
            ckpt->reason, CKPT_ERR_INVALID,
            "the path of the agent's socket has %zu bytes: at most %d are possible", strlen(socket),
            CKPT_ADDRESS_MAX);
    }
    *socket_out = socket;
    return CKPT_OK;
}

static enum ckpt_status take_options(struct ckpt *ckpt, const struct ckpt_options *options)
{
    const char *socket = NULL;
    if (options == NULL || options->size != sizeof(*options)) {
        return reason_refuse(
            ckpt->reason, CKPT_ERR_INVALID,
            "options are NULL, or options.size is not sizeof(struct ckpt_options)");
    }
    enum ckpt_status status = check_numbers(ckpt, options);
    if (status == CKPT_OK) {
        status = check_texts(ckpt, options, &socket);
    }
    if (status != CKPT_OK) {
        return status;
    }
    memcpy(ckpt->run, options->run, strlen(options->run) + 1);
    memcpy(ckpt->socket, socket, strlen(socket) + 1);
    ckpt->insisted = options->attempt;
    ckpt->name = client_start_name();
    if (!client_seat_new(&ckpt->seat)) {
        return reason_refuse(ckpt->reason, CKPT_ERR_SYSTEM,
                             "getrandom failed: the kernel gives no number");
    }
    ckpt->rank = options->reader ? 0 : options->rank;
    ckpt->world = options->reader ? 0 : options->world;
    ckpt->copies = options->copies;
    ckpt->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : CLIENT_TIMEOUT_MS_DEFAULT;
    ckpt->copy_threads = options->copy_threads != 0 ? options->copy_threads : 1;
    ckpt->reader = options->reader;
    return CKPT_OK;
}

static enum ckpt_status make_scratch(struct ckpt *ckpt)
{
    ckpt->tensor_room = TENSORS_AT_FIRST;
    ckpt->tensors = malloc(TENSORS_AT_FIRST * sizeof(*ckpt->tensors));
    ckpt->pieces = malloc(TENSORS_AT_FIRST * sizeof(*ckpt->pieces));
    ckpt->names = malloc(shard_scratch_count(TENSORS_AT_FIRST) * sizeof(*ckpt->names));
    ckpt->metadata = malloc(SHARD_METADATA_MAX * sizeof(*ckpt->metadata));
    if (ckpt->tensors == NULL || ckpt->pieces == NULL || ckpt->names == NULL ||
        ckpt->metadata == NULL) {
        return reason_refuse(ckpt->reason, CKPT_ERR_MEMORY, "no memory for a context");
    }
    return CKPT_OK;
}

/* Where this rank was before, its saves will be as large as its last one was. What comes of it is
 * no matter of opening, unless it cost the connection: the next call makes another. */
static void prepare_as_last(struct ckpt *ckpt, struct deadline deadline)
{
    (void)client_prepare(ckpt, ckpt->last_bytes, deadline);
    ckpt->reason[0] = '\0';
}

static enum ckpt_status open_context(struct ckpt *ckpt, const struct ckpt_options *options)
{
    ckpt->process = getpid();
    ckpt->link.fd = -1;
    enum ckpt_status status = take_options(ckpt, options);
    if (status == CKPT_OK) {
        status = make_scratch(ckpt);
    }
    if (status == CKPT_OK) {
        status = agent_link_init(&ckpt->link, ckpt->reason);
    }
    if (status == CKPT_OK) {
        status = client_fork_watch(ckpt);
    }
    struct deadline deadline = deadline_after_ms(ckpt->timeout_ms);
    if (status == CKPT_OK) {
        status = client_rank_ensure(ckpt, deadline);
    }
    if (status == CKPT_OK && ckpt->prepares && ckpt->last_bytes > 0) {
        prepare_as_last(ckpt, deadline);
    }
    return status;
}

enum ckpt_status ckpt_open_reason(const struct ckpt_options *options, struct ckpt **ckpt_out,
                                  char *reason, size_t reason_bytes)
{
    enum ckpt_status status = CKPT_ERR_INVALID;
    struct ckpt *ckpt = NULL;
    const char *line = "ckpt_open has nowhere to write: ckpt_out is NULL";
    if (ckpt_out != NULL) {
        ckpt = calloc(1, sizeof(*ckpt));
        line = "no memory for a context";
        status = CKPT_ERR_MEMORY;
    }
    if (ckpt != NULL) {
        status = open_context(ckpt, options);
        line = ckpt->reason;
    }
    if (status == CKPT_OK) {
        *ckpt_out = ckpt;
        return CKPT_OK;
    }
    if (reason != NULL && reason_bytes > 0) {
        (void)snprintf(reason, reason_bytes, "%s", line);
    }
    ckpt_close(&ckpt);
    return status;
}

enum ckpt_status ckpt_open(const struct ckpt_options *options, struct ckpt **ckpt_out)
{
    return ckpt_open_reason(options, ckpt_out, NULL, 0);
}

void ckpt_close(struct ckpt **ckpt)
{
    if (ckpt == NULL || *ckpt == NULL) {
        return;
    }
    struct ckpt *context = *ckpt;
    /* What is mapped goes first: the end of the connection lets the agent use it again. A child of
     * fork() has none of it, and what was tied to it is its parent's. */
    client_fork_unwatch(context);
    if (!client_is_own_process(context)) {
        context->mappings.watch = NULL;
        context->mappings.pin = NULL;
    }
    client_gpu_close(context);
    client_loaded_clear(context);
    client_indexes_clear(context);
    if (client_is_own_process(context)) {
        mappings_clear(&context->mappings);
    }
    agent_link_fini(&context->link);
    free(context->tensors);
    free(context->pieces);
    free(context->names);
    free(context->metadata);
    free(context);
    *ckpt = NULL;
}

const char *ckpt_reason(const struct ckpt *ckpt)
{
    return ckpt != NULL ? ckpt->reason : "";
}

const char *ckpt_version(void)
{
    return CKPT_VERSION;
}
