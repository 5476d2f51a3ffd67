/* SPDX-License-Identifier: Apache-2.0 */
/* A save: check and lay out, then stage. */
#include "client/save.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault_point.h"
#include "base/reason.h"
#include "client/gpu.h"
#include "client/rank.h"
#include "client/stage.h"
#include "shard/tensor.h"

static enum ckpt_status check_step(struct ckpt *ckpt, uint64_t step)
{
    if (ckpt->reader) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "a reader's context holds no rank to save");
    }
    if (step == CKPT_STEP_LATEST) {
        return reason_refuse(ckpt->reason, CKPT_ERR_STEP,
                             "CKPT_STEP_LATEST is no step: save a smaller number");
    }
    if (ckpt->has_begun) {
        return reason_refuse(ckpt->reason, CKPT_ERR_BUSY,
                             "step %llu was begun: ckpt_save_end or ckpt_save_cancel it first",
                             (unsigned long long)ckpt->begun_step);
    }
    if (!client_gpu_settle(ckpt)) {
        return CKPT_ERR_BUSY;
    }
    if (ckpt->has_step && step <= ckpt->last_step) {
        return reason_refuse(
            ckpt->reason, CKPT_ERR_STEP, "step %llu is not above %llu, the last that rank %u saved",
            (unsigned long long)step, (unsigned long long)ckpt->last_step, ckpt->rank);
    }
    return CKPT_OK;
}

static enum ckpt_status check_counts(struct ckpt *ckpt, const struct ckpt_tensor *tensors,
                                     size_t count, const struct ckpt_metadata *metadata,
                                     size_t metadata_count)
{
    if ((tensors == NULL && count > 0) || (metadata == NULL && metadata_count > 0)) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "%zu tensors and %zu pairs of metadata are said to be at NULL",
                             tensors == NULL ? count : 0, metadata == NULL ? metadata_count : 0);
    }
    if (count > CKPT_TENSORS_MAX || metadata_count > SHARD_METADATA_MAX) {
        return reason_refuse(
            ckpt->reason, CKPT_ERR_TOO_LARGE,
            "%zu tensors and %zu pairs of metadata: at most %d and %d fit one shard", count,
            metadata_count, CKPT_TENSORS_MAX, SHARD_METADATA_MAX);
    }
    return CKPT_OK;
}

/* The scratch was made by ckpt_open for a common number of tensors; it grows here, before anything
 * is asked of the agent, and stays. */
static enum ckpt_status make_room(struct ckpt *ckpt, size_t count)
{
    if (count <= ckpt->tensor_room) {
        return CKPT_OK;
    }
    size_t room = ckpt->tensor_room;
    while (room < count) {
        room *= 2;
    }
    struct shard_tensor *tensors = malloc(room * sizeof(*tensors));
    struct copy_piece *pieces = malloc(room * sizeof(*pieces));
    uint32_t *names = malloc(shard_scratch_count(room) * sizeof(*names));
    if (tensors == NULL || pieces == NULL || names == NULL) {
        free(tensors);
        free(pieces);
        free(names);
        return reason_refuse(ckpt->reason, CKPT_ERR_MEMORY, "no memory for a table of %zu tensors",
                             room);
    }
    free(ckpt->tensors);
    free(ckpt->pieces);
    free(ckpt->names);
    ckpt->tensors = tensors;
    ckpt->pieces = pieces;
    ckpt->names = names;
    ckpt->tensor_room = room;
    return CKPT_OK;
}

/* may_lack: a tensor without data is one that the caller copies. */
static enum ckpt_status take_tensors(struct ckpt *ckpt, const struct ckpt_tensor *tensors,
                                     size_t count, bool may_lack)
{
    for (size_t i = 0; i < count; i++) {
        const struct ckpt_tensor *from = &tensors[i];
        if (from->name == NULL) {
            return reason_refuse(ckpt->reason, CKPT_ERR_NAME, "tensor %zu has no name", i);
        }
        if (from->data == NULL && from->bytes > 0 && !may_lack) {
            return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                                 "tensor %zu (%s) says %llu bytes and has no data", i,
                                 TENSOR_LABEL(from->name), (unsigned long long)from->bytes);
        }
        struct shard_tensor *to = &ckpt->tensors[i];
        to->name = from->name;
        to->dtype = from->dtype;
        to->dimensions = from->dimensions;
        memcpy(to->shape, from->shape, sizeof(to->shape));
    }
    return CKPT_OK;
}

static enum ckpt_status take_metadata(struct ckpt *ckpt, const struct ckpt_metadata *metadata,
                                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (metadata[i].key == NULL || metadata[i].value == NULL) {
            return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                                 "pair %zu of the metadata has a NULL", i);
        }
        ckpt->metadata[i] = (struct shard_metadata){metadata[i].key, metadata[i].value};
    }
    return CKPT_OK;
}

/* The layout computed what each tensor needs; the caller must have said the same. */
static enum ckpt_status take_pieces(struct ckpt *ckpt, const struct ckpt_tensor *tensors,
                                    size_t count, size_t *pieces_out)
{
    uint64_t before = 0;
    size_t pieces = 0;
    for (size_t i = 0; i < count; i++) {
        if (ckpt->tensors[i].bytes != tensors[i].bytes) {
            return reason_refuse(ckpt->reason, CKPT_ERR_SIZE,
                                 "tensor %zu (%s) says %llu bytes, its shape and type give %llu", i,
                                 TENSOR_LABEL(tensors[i].name),
                                 (unsigned long long)tensors[i].bytes,
                                 (unsigned long long)ckpt->tensors[i].bytes);
        }
        if (tensors[i].data == NULL) {
            continue;
        }
        ckpt->pieces[pieces++] = (struct copy_piece){
            .offset = ckpt->tensors[i].offset,
            .from = tensors[i].data,
            .bytes = tensors[i].bytes,
            .before = before,
        };
        before += tensors[i].bytes;
    }
    *pieces_out = pieces;
    return CKPT_OK;
}

/* What a caller hands to a save. */
struct state {
    uint64_t step;
    const struct ckpt_tensor *tensors;
    size_t count;
    const struct ckpt_metadata *metadata;
    size_t metadata_count;
    bool may_lack;
};

/* Checks everything and lays it out, before anything is asked of the agent. The stage points to
 * *layout. */
static enum ckpt_status prepare(struct ckpt *ckpt, const struct state *state,
                                struct shard_layout *layout, struct stage *stage_out)
{
    size_t pieces = 0;
    enum ckpt_status status = check_step(ckpt, state->step);
    if (status == CKPT_OK) {
        status = check_counts(ckpt, state->tensors, state->count, state->metadata,
                              state->metadata_count);
    }
    if (status == CKPT_OK) {
        status = make_room(ckpt, state->count);
    }
    if (status == CKPT_OK) {
        status = take_tensors(ckpt, state->tensors, state->count, state->may_lack);
    }
    if (status == CKPT_OK) {
        status = take_metadata(ckpt, state->metadata, state->metadata_count);
    }
    if (status == CKPT_OK) {
        status =
            shard_layout_make(ckpt->tensors, state->count, ckpt->metadata, state->metadata_count,
                              ckpt->names, layout, ckpt->reason, sizeof(ckpt->reason));
    }
    if (status == CKPT_OK) {
        status = take_pieces(ckpt, state->tensors, state->count, &pieces);
    }
    if (status != CKPT_OK) {
        return status;
    }
    *stage_out = (struct stage){
        .step = state->step,
        .bytes = layout->bytes,
        .layout = layout,
        .tensor_count = state->count,
        .metadata_count = state->metadata_count,
        .piece_count = pieces,
    };
    return CKPT_OK;
}

static enum ckpt_status save(struct ckpt *ckpt, const struct state *state)
{
    struct deadline deadline = deadline_after_ms(ckpt->timeout_ms);
    struct shard_layout layout;
    struct stage stage;
    enum ckpt_status status = prepare(ckpt, state, &layout, &stage);
    return status != CKPT_OK ? status : stage_all(ckpt, &stage, deadline);
}

enum ckpt_status ckpt_save(struct ckpt *ckpt, uint64_t step, const struct ckpt_tensor *tensors,
                           size_t count, const struct ckpt_metadata *metadata,
                           size_t metadata_count)
{
    const struct state state = {step, tensors, count, metadata, metadata_count, false};
    enum ckpt_status status = client_enter(ckpt);
    return status != CKPT_OK ? status : save(ckpt, &state);
}

enum ckpt_status ckpt_save_begin(struct ckpt *ckpt, uint64_t step,
                                 const struct ckpt_tensor *tensors, size_t count,
                                 const struct ckpt_metadata *metadata, size_t metadata_count,
                                 void **addresses_out)
{
    const struct state state = {step, tensors, count, metadata, metadata_count, true};
    struct shard_layout layout;
    struct stage stage;
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (addresses_out == NULL) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "ckpt_save_begin has nowhere to write: addresses_out is NULL");
    }
    struct deadline deadline = deadline_after_ms(ckpt->timeout_ms);
    status = prepare(ckpt, &state, &layout, &stage);
    if (status == CKPT_OK) {
        status = stage_fill(ckpt, &stage, &deadline, &ckpt->begun);
    }
    if (status != CKPT_OK) {
        return status;
    }
    ckpt->has_begun = true;
    ckpt->begun_step = step;
    ckpt->begun_link = ckpt->link.number;
    ckpt->begun_tensors = count;
    ckpt->begun_gathers = 0;
    ckpt->begun_bytes = layout.bytes;
    ckpt->begun_missing = 0;
    for (size_t i = 0; i < count; i++) {
        ckpt->begun_missing += tensors[i].data == NULL && tensors[i].bytes > 0;
        addresses_out[i] = ckpt->begun.address + ckpt->tensors[i].offset;
    }
    return CKPT_OK;
}

enum ckpt_status client_begun_enter(struct ckpt *ckpt, uint64_t step)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (!ckpt->has_begun || ckpt->begun_step != step) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "step %llu was not begun by ckpt_save_begin",
                             (unsigned long long)step);
    }
    return CKPT_OK;
}

/* A slot goes with the connection it was granted on. */
static bool is_granted(const struct ckpt *ckpt)
{
    return ckpt->begun_link == ckpt->link.number && ckpt->state == RANK_OPEN;
}

enum ckpt_status client_begun_check(struct ckpt *ckpt)
{
    if (!is_granted(ckpt)) {
        return reason_refuse(ckpt->reason, CKPT_ERR_NO_AGENT,
                             "the agent at %s went away while step %llu was copied", ckpt->socket,
                             (unsigned long long)ckpt->begun_step);
    }
    return CKPT_OK;
}

void client_begun_give_up(struct ckpt *ckpt)
{
    ckpt->has_begun = false;
    if (client_gpu_cancel(ckpt) && is_granted(ckpt)) {
        client_abandon(ckpt, ckpt->begun_step, ckpt->begun.slot, ckpt->begun.generation);
    }
}

enum ckpt_status ckpt_save_end(struct ckpt *ckpt, uint64_t step)
{
    enum ckpt_status status = client_begun_enter(ckpt, step);
    if (status != CKPT_OK) {
        return status;
    }
    status = client_gpu_end(ckpt);
    if (status != CKPT_OK && ckpt->has_begun) {
        client_begun_give_up(ckpt);
    }
    if (status != CKPT_OK) {
        return status;
    }
    ckpt->has_begun = false;
    status = client_begun_check(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    FAULT_POINT(client_save_before_seal);
    return stage_seal(ckpt, step, &ckpt->begun, deadline_after_ms(ckpt->timeout_ms));
}

enum ckpt_status ckpt_save_cancel(struct ckpt *ckpt, uint64_t step)
{
    enum ckpt_status status = client_begun_enter(ckpt, step);
    if (status == CKPT_OK) {
        client_begun_give_up(ckpt);
    }
    return status;
}

enum ckpt_status ckpt_watch_mappings(struct ckpt *ckpt, ckpt_watch *watch, void *context)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status == CKPT_OK && ckpt->reader) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "a reader's context maps no slots to watch");
    }
    if (status == CKPT_OK) {
        mappings_watch(&ckpt->mappings, watch, context);
    }
    return status;
}

enum ckpt_status ckpt_save_bytes(struct ckpt *ckpt, uint64_t step, const void *data, uint64_t bytes)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    struct ckpt_tensor tensor = {
        .name = SHARD_OPAQUE_NAME,
        .dtype = CKPT_DTYPE_U8,
        .dimensions = 1,
        .shape = {bytes},
        .data = data,
        .bytes = bytes,
    };
    const struct state state = {step, &tensor, 1, NULL, 0, false};
    return save(ckpt, &state);
}

static enum ckpt_status check_shard(struct ckpt *ckpt, const void *data, uint64_t bytes)
{
    uint64_t header_bytes;
    struct shard_index *index = NULL;
    if (data == NULL) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID, "the shard is said to be at NULL");
    }
    enum ckpt_status status =
        bytes < 8 ? CKPT_ERR_CORRUPT : shard_header_size(data, bytes, &header_bytes);
    if (status != CKPT_OK) {
        /* Also a length above any header's: eight bytes of something else look like that. */
        return reason_refuse(ckpt->reason, CKPT_ERR_CORRUPT,
                             "%llu bytes are no safetensors file: they end before its header does",
                             (unsigned long long)bytes);
    }
    status = shard_index_new(data, header_bytes, bytes, &index, ckpt->reason, sizeof(ckpt->reason));
    shard_index_delete(&index);
    return status;
}

enum ckpt_status ckpt_save_shard(struct ckpt *ckpt, uint64_t step, const void *data, uint64_t bytes)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status == CKPT_OK) {
        status = check_step(ckpt, step);
    }
    if (status == CKPT_OK) {
        status = check_shard(ckpt, data, bytes);
    }
    if (status != CKPT_OK) {
        return status;
    }
    ckpt->pieces[0] = (struct copy_piece){.from = data, .bytes = bytes};
    struct stage stage = {.step = step, .bytes = bytes, .piece_count = 1};
    return stage_all(ckpt, &stage, deadline_after_ms(ckpt->timeout_ms));
}
