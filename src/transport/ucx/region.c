/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/ucx/region.h"
#include "transport/ucx/source.h"
#include "transport/ucx/ucx.h"
#include "base/clock.h"

#include <stdlib.h>

#define PLACE_BITS 16

_Static_assert(UCX_REGIONS_MAX <= 1 << PLACE_BITS, "a place fits an id");

struct ucx_region *ucx_region_find(struct ucx *u, uint64_t id)
{
    uint64_t place = id & ((1 << PLACE_BITS) - 1);
    struct ucx_region *region = place < UCX_REGIONS_MAX ? u->regions[place] : NULL;

    return region != NULL && region->id == id && !region->withdrawn ? region : NULL;
}

static bool find_place(struct ucx *u, uint32_t *place_out)
{
    for (uint32_t place = u->region_hint; place < UCX_REGIONS_MAX; place++) {
        if (u->regions[place] == NULL) {
            u->region_hint = place + 1;
            *place_out = place;
            return true;
        }
    }
    return false;
}

enum ckpt_status ucx_register(struct transport *t, const struct transport_memory *memory,
                              struct transport_region **region_out)
{
    struct ucx *u = as_ucx(t);
    struct ucx_region *region;
    uint32_t place;

    if (memory->dmabuf) {
        return CKPT_ERR_UNSUPPORTED;
    }
    if (!find_place(u, &place)) {
        return CKPT_ERR_MEMORY;
    }
    region = calloc(1, sizeof(*region));
    if (region == NULL) {
        u->region_hint = place;
        return CKPT_ERR_MEMORY;
    }
    region->id = ++u->region_serial << PLACE_BITS | place;
    region->generation = memory->generation;
    region->base = (struct transport_region){.transport = t,
                                             .address = memory->address,
                                             .bytes = memory->bytes,
                                             .generation = &region->generation,
                                             .read_only = memory->read_only};
    u->regions[place] = region;
    *region_out = &region->base;
    return CKPT_OK;
}

enum ckpt_status ucx_deregister(struct transport_region *base)
{
    struct ucx *u = as_ucx(base->transport);
    struct ucx_region *region = (struct ucx_region *)(void *)base;
    uint32_t place = (uint32_t)(region->id & ((1 << PLACE_BITS) - 1));
    uint64_t begin = clock_now_ns();

    region->withdrawn = true;
    /* The kernel may still be about to read the fragments that UCX holds. */
    while (region->sends != 0) {
        uint64_t now = clock_now_ns();
        if (now > begin + UCX_CLOSE_NS) {
            return CKPT_ERR_TIMEOUT;
        }
        if (now > begin + UCX_CLOSE_NS / 2) {
            ucx_source_fail_region(u, region);
        }
        ucp_worker_progress(u->worker);
        ucx_clients_tend(u);
    }
    u->regions[place] = NULL;
    if (place < u->region_hint) {
        u->region_hint = place;
    }
    free(region);
    return CKPT_OK;
}

void ucx_regions_close(struct ucx *u)
{
    for (uint32_t place = 0; place < UCX_REGIONS_MAX; place++) {
        free(u->regions[place]);
        u->regions[place] = NULL;
    }
}

enum ckpt_status ucx_export(struct transport_region *base, uint8_t *descriptor_out,
                            size_t *bytes_out)
{
    struct ucx_region *region = (struct ucx_region *)(void *)base;
    struct label label = {.kind = LABEL_REGION,
                          .backend = LABEL_UCX,
                          .transport = as_ucx(base->transport)->id,
                          .region = region->id,
                          .generation = region->generation,
                          .bytes = base->bytes};

    return label_encode(&label, descriptor_out, CKPT_DESCRIPTOR_MAX, bytes_out);
}
