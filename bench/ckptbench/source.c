/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>

#include "buffer.h"

static enum ckpt_status say(char *reason, enum ckpt_status status, const char *what)
{
    snprintf(reason, CKPT_REASON_MAX + 1, "%s: %s", what, ckpt_status_text(status));
    return status;
}

static enum ckpt_status export_segment(struct source *source, uint32_t segment, uint64_t bytes)
{
    struct transport_memory memory = {.address = source->memory + segment * bytes,
                                      .bytes = bytes,
                                      .generation = 1,
                                      .read_only = true};
    struct source_region *region = &source->regions[segment];
    struct transport_region *registered;
    buffer_fill(source->memory + segment * bytes, bytes, SOURCE_SEED(segment));
    enum ckpt_status status = transport_register(source->transport, &memory, &registered);
    return status == CKPT_OK ? transport_export(registered, region->descriptor, &region->bytes)
                             : status;
}

static enum ckpt_status export_all(struct source *source, uint64_t segment_bytes, char *reason)
{
    for (uint32_t i = 0; i < source->segments; i++) {
        enum ckpt_status status = export_segment(source, i, segment_bytes);
        if (status != CKPT_OK) {
            return say(reason, status, "registering memory");
        }
    }
    enum ckpt_status status =
        transport_address(source->transport, source->address, &source->address_bytes);
    return status == CKPT_OK ? CKPT_OK : say(reason, status, "the transport's address");
}

enum ckpt_status source_open(const struct source_options *options, struct source **source_out,
                             char *reason)
{
    struct transport_options settings = {.devices = options->devices};
    struct source *source = calloc(1, sizeof(*source));
    enum ckpt_status status = CKPT_ERR_MEMORY;
    if (source == NULL) {
        return say(reason, status, "a source");
    }
    source->segments =
        (uint32_t)((options->bytes + options->segment_bytes - 1) / options->segment_bytes);
    source->memory_bytes = source->segments * options->segment_bytes;
    status = transport_open(options->transport, &settings, &source->transport);
    if (status != CKPT_OK) {
        snprintf(reason, CKPT_REASON_MAX + 1, "%s",
                 transport_open_error()[0] != '\0' ? transport_open_error()
                                                   : ckpt_status_text(status));
        goto close_source;
    }
    source->regions = calloc(source->segments, sizeof(*source->regions));
    source->memory = buffer_make_shared(source->memory_bytes);
    if (source->regions == NULL || source->memory == NULL) {
        status = say(reason, CKPT_ERR_MEMORY, "memory to be read");
        goto close_source;
    }
    status = export_all(source, options->segment_bytes, reason);
    if (status != CKPT_OK) {
        goto close_source;
    }
    *source_out = source;
    return CKPT_OK;

close_source:
    source_close(&source);
    return status;
}

void source_close(struct source **source)
{
    struct source *s = *source;
    if (s != NULL) {
        transport_close(s->transport, NULL, NULL);
        buffer_free(&s->memory, s->memory_bytes);
        free(s->regions);
        free(s);
        *source = NULL;
    }
}
