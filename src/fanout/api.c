/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions: what they are given is looked at here. */
#include <string.h>

#include <ckpt/fanout.h>

#include "base/reason.h"
#include "fanout/fetch.h"
#include "fanout/group.h"
#include "fanout/held.h"

static enum ckpt_status refuse_options(const struct ckpt_fanout_options *options, char *reason)
{
    if (options->size != sizeof(*options)) {
        return reason_refuse(reason, CKPT_ERR_INVALID,
                             "fan-out: options of %u bytes are of another version", options->size);
    }
    if (options->ranks == 0 || options->ranks > CKPT_FANOUT_RANKS_MAX ||
        options->rank >= options->ranks || options->senders > options->ranks) {
        return reason_refuse(reason, CKPT_ERR_INVALID,
                             "fan-out: rank %u, %u senders and %u ranks make no group: at most %d "
                             "ranks",
                             options->rank, options->senders, options->ranks,
                             CKPT_FANOUT_RANKS_MAX);
    }
    if (options->road > CKPT_FANOUT_SOCKETS || options->shape > CKPT_FANOUT_RELAY) {
        return reason_refuse(reason, CKPT_ERR_INVALID, "fan-out: no road %u or no shape %u",
                             options->road, options->shape);
    }
    if (options->piece_bytes % CKPT_MIB != 0 || options->piece_bytes > FANOUT_PIECE_BYTES_MAX) {
        return reason_refuse(reason, CKPT_ERR_INVALID,
                             "fan-out: pieces of %llu bytes: 1 to 64 MiB, whole MiB",
                             (unsigned long long)options->piece_bytes);
    }
    if (options->address != NULL &&
        (options->address[0] == '\0' || strlen(options->address) > CKPT_ADDRESS_MAX - 8)) {
        return reason_refuse(reason, CKPT_ERR_INVALID,
                             "fan-out: an address is a host's name or number of at most %d "
                             "characters, without a port",
                             CKPT_ADDRESS_MAX - 8);
    }
    return CKPT_OK;
}

enum ckpt_status ckpt_fanout_open(const struct ckpt_fanout_options *options,
                                  struct ckpt_fanout **fanout_out, char *reason,
                                  size_t reason_bytes)
{
    char why[CKPT_REASON_MAX + 1] = "fan-out: no options, or nowhere to write";
    enum ckpt_status status = CKPT_ERR_INVALID;
    if (options != NULL && fanout_out != NULL) {
        status = refuse_options(options, why);
    }
    if (status == CKPT_OK) {
        status = group_open(options, fanout_out, why);
    }
    return status == CKPT_OK || reason == NULL
               ? status
               : reason_refuse_in((struct reason){reason, reason_bytes}, status, "%s", why);
}

enum ckpt_status ckpt_fanout_id(const struct ckpt_fanout *fanout,
                                uint8_t id_out[CKPT_FANOUT_ID_BYTES])
{
    if (fanout == NULL || id_out == NULL || !group_leads(fanout)) {
        return CKPT_ERR_INVALID;
    }
    group_id(fanout, id_out);
    return CKPT_OK;
}

enum ckpt_status ckpt_fanout_join(struct ckpt_fanout *fanout, const uint8_t *id,
                                  uint32_t timeout_ms)
{
    if (fanout == NULL) {
        return CKPT_ERR_INVALID;
    }
    if (fanout->was_asked || (id == NULL && !group_leads(fanout))) {
        return reason_refuse(fanout->reason, CKPT_ERR_INVALID, "fan-out: %s",
                             fanout->was_asked ? "a group is joined once"
                                               : "the id of the group's rank 0 is wanted");
    }
    fanout->was_asked = true;
    return group_join(fanout, id, timeout_ms);
}

static enum ckpt_status fetch_of_agent(void *context, uint64_t step, uint32_t rank,
                                       uint32_t timeout_ms, struct ckpt_shard *shard_out,
                                       char *reason)
{
    enum ckpt_status status = ckpt_fetch(context, step, rank, timeout_ms, shard_out);
    if (status != CKPT_OK) {
        reason_set(reason, "%s", ckpt_reason(context));
    }
    return status;
}

static void unload_of_agent(void *context, struct ckpt_shard *shard)
{
    ckpt_unload(context, shard);
}

enum ckpt_status ckpt_fanout_fetch(struct ckpt_fanout *fanout, struct ckpt *ckpt, uint64_t step,
                                   uint32_t rank, uint32_t timeout_ms,
                                   struct ckpt_fanout_shard *shard_out)
{
    if (fanout == NULL || ckpt == NULL || shard_out == NULL) {
        return CKPT_ERR_INVALID;
    }
    if (step == CKPT_STEP_LATEST) {
        return reason_refuse(fanout->reason, CKPT_ERR_STEP,
                             "fan-out: the step is a number, that of ckpt_load's verdict");
    }
    struct fanout_source source = {ckpt, fetch_of_agent, unload_of_agent};
    return fetch_shard(fanout, &source, step, rank, timeout_ms, shard_out);
}

static void show(const struct ckpt_fanout_shard *shard, const struct shard_tensor *from,
                 struct ckpt_tensor *tensor_out)
{
    *tensor_out = (struct ckpt_tensor){.name = from->name,
                                       .dtype = from->dtype,
                                       .dimensions = from->dimensions,
                                       .data = (const uint8_t *)shard->data + from->offset,
                                       .bytes = from->bytes};
    memcpy(tensor_out->shape, from->shape, sizeof(tensor_out->shape));
}

enum ckpt_status ckpt_fanout_find(const struct ckpt_fanout_shard *shard, const char *name,
                                  struct ckpt_tensor *tensor_out)
{
    if (shard == NULL || shard->private_state == NULL || name == NULL || tensor_out == NULL) {
        return CKPT_ERR_INVALID;
    }
    const struct held *held = shard->private_state;
    const struct shard_tensor *found = shard_index_find(held->index, name);
    if (found == NULL) {
        return CKPT_ERR_NOT_FOUND;
    }
    show(shard, found, tensor_out);
    return CKPT_OK;
}

enum ckpt_status ckpt_fanout_tensor_at(const struct ckpt_fanout_shard *shard, size_t index,
                                       struct ckpt_tensor *tensor_out)
{
    if (shard == NULL || shard->private_state == NULL || tensor_out == NULL) {
        return CKPT_ERR_INVALID;
    }
    const struct held *held = shard->private_state;
    if (index >= shard_index_count(held->index)) {
        return CKPT_ERR_NOT_FOUND;
    }
    show(shard, shard_index_at(held->index, index), tensor_out);
    return CKPT_OK;
}

void ckpt_fanout_release(struct ckpt_fanout *fanout, struct ckpt_fanout_shard *shard)
{
    if (fanout == NULL || shard == NULL) {
        return;
    }
    struct held **at = &fanout->held;
    while (*at != NULL && *at != shard->private_state) {
        at = &(*at)->next;
    }
    struct held *held = *at;
    if (held != NULL) {
        *at = held->next;
        held_drop(held);
    }
    memset(shard, 0, sizeof(*shard));
}

const char *ckpt_fanout_reason(const struct ckpt_fanout *fanout)
{
    return fanout != NULL ? fanout->reason : "";
}

void ckpt_fanout_close(struct ckpt_fanout **fanout)
{
    if (fanout == NULL || *fanout == NULL) {
        return;
    }
    while ((*fanout)->held != NULL) {
        struct held *next = (*fanout)->held->next;
        held_drop((*fanout)->held);
        (*fanout)->held = next;
    }
    group_close(*fanout);
    *fanout = NULL;
}
