/* SPDX-License-Identifier: Apache-2.0 */
#include "raw/source.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/reason.h"
#include "memory/buffer.h"

static enum ckpt_status say(char *reason, enum ckpt_status status, const char *what)
{
    return reason_refuse(reason, status, "%s: %s", what, ckpt_status_text(status));
}

static enum ckpt_status export_memory(struct source *source, uint32_t segment,
                                      const struct transport_memory *memory)
{
    struct source_region *region = &source->regions[segment];
    struct transport_region *registered;
    enum ckpt_status status = transport_register(source->transport, memory, &registered);
    return status == CKPT_OK ? transport_export(registered, region->descriptor, &region->bytes)
                             : status;
}

static enum ckpt_status export_segment(struct source *source, uint32_t segment, uint64_t bytes,
                                       char *reason)
{
    struct transport_memory memory = {.address = source->memory + segment * bytes,
                                      .bytes = bytes,
                                      .generation = 1,
                                      .read_only = true};
    buffer_fill(source->memory + segment * bytes, bytes, SOURCE_SEED(segment));
    enum ckpt_status status = export_memory(source, segment, &memory);
    return status == CKPT_OK ? CKPT_OK : say(reason, status, "registering memory");
}

static enum ckpt_status export_gpu_segment(struct source *source, uint32_t segment, uint64_t bytes,
                                           char *reason)
{
    struct transport_memory memory = {
        .bytes = bytes, .dmabuf = true, .generation = 1, .read_only = true};
    uint8_t *filled = buffer_make(bytes);
    if (filled == NULL) {
        return say(reason, CKPT_ERR_MEMORY, "what to fill the GPU's memory with");
    }
    buffer_fill(filled, bytes, SOURCE_SEED(segment));
    enum ckpt_status status = gpu_memory_fill(source->gpu, segment, filled, reason);
    buffer_free(&filled, bytes);
    if (status == CKPT_OK) {
        status = gpu_memory_export(source->gpu, segment, &memory.dmabuf_fd, reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    status = export_memory(source, segment, &memory);
    close(memory.dmabuf_fd);
    if (status == CKPT_ERR_UNSUPPORTED) {
        return reason_refuse(
            reason, CKPT_ERR_CONFIG,
            "a device of this transport registers no dma-bufs, and so no GPU memory "
            "(Soft-RoCE does not; a NIC's driver must): choose others by --devices, or "
            "--memory=host");
    }
    return status == CKPT_OK ? CKPT_OK : say(reason, status, "registering the GPU's memory");
}

static enum ckpt_status export_all(struct source *source, uint64_t segment_bytes, char *reason)
{
    for (uint32_t i = 0; i < source->segments; i++) {
        enum ckpt_status status = source->gpu != NULL
                                      ? export_gpu_segment(source, i, segment_bytes, reason)
                                      : export_segment(source, i, segment_bytes, reason);
        if (status != CKPT_OK) {
            return status;
        }
    }
    enum ckpt_status status =
        transport_address(source->transport, source->address, &source->address_bytes);
    return status == CKPT_OK ? CKPT_OK : say(reason, status, "the transport's address");
}

static enum ckpt_status open_transport(struct source *source, const struct source_options *options,
                                       char *reason)
{
    struct transport_options settings = {.devices = options->devices};
    enum ckpt_status status = transport_open(options->transport, &settings, &source->transport);
    if (status != CKPT_OK) {
        reason_set(reason, "%s",
                   transport_open_error()[0] != '\0' ? transport_open_error()
                                                     : ckpt_status_text(status));
    }
    return status;
}

static enum ckpt_status make_memory(struct source *source, const struct source_options *options,
                                    char *reason)
{
    source->regions = calloc(source->segments, sizeof(*source->regions));
    if (source->regions == NULL) {
        return say(reason, CKPT_ERR_MEMORY, "memory to be read");
    }
    if (options->is_gpu) {
        return gpu_memory_open(options->gpu, options->segment_bytes, source->segments, &source->gpu,
                               reason);
    }
    source->memory = buffer_make_shared(source->memory_bytes);
    return source->memory != NULL ? CKPT_OK : say(reason, CKPT_ERR_MEMORY, "memory to be read");
}

enum ckpt_status source_open(const struct source_options *options, struct source **source_out,
                             char *reason)
{
    struct source *source = calloc(1, sizeof(*source));
    enum ckpt_status status = CKPT_ERR_MEMORY;
    if (source == NULL) {
        return say(reason, status, "a source");
    }
    source->segments =
        (uint32_t)((options->bytes + options->segment_bytes - 1) / options->segment_bytes);
    source->memory_bytes = source->segments * options->segment_bytes;
    status = open_transport(source, options, reason);
    if (status == CKPT_OK) {
        status = make_memory(source, options, reason);
    }
    if (status == CKPT_OK) {
        status = export_all(source, options->segment_bytes, reason);
    }
    if (status != CKPT_OK) {
        source_close(&source);
        return status;
    }
    *source_out = source;
    return CKPT_OK;
}

void source_close(struct source **source)
{
    struct source *s = *source;
    if (s != NULL) {
        transport_close(s->transport, NULL, NULL);
        buffer_free(&s->memory, s->memory_bytes);
        gpu_memory_close(&s->gpu);
        free(s->regions);
        free(s);
        *source = NULL;
    }
}
