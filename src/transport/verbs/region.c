/* SPDX-License-Identifier: Apache-2.0 */
/* Registered memory, and the slots by which readers learn that it was revoked. */
#include "transport/verbs/region.h"

#include "transport/verbs/client.h"
#include "transport/verbs/rails.h"
#include "transport/verbs/verbs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"

#define SLOTS_BYTES (VERBS_REGIONS_MAX * sizeof(struct verbs_slot))

/* From this size on a registration takes longer than starting a thread does. */
#define PARALLEL_BYTES (16 * CKPT_MIB)

_Static_assert(sizeof(struct verbs_slot) == 16, "peers read it; it divides a cache line");

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    return memory != MAP_FAILED ? memory : NULL;
}

static size_t landing_bytes(const struct verbs *v)
{
    return v->reads.count * sizeof(struct verbs_slot);
}

/* After the rails are open. */
enum ckpt_status verbs_slots_open(struct verbs *v)
{
    v->slots = map(SLOTS_BYTES);
    v->landing = map(landing_bytes(v));
    if (v->slots == NULL || v->landing == NULL) {
        verbs_slots_close(v);
        return CKPT_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < v->rails_count; i++) {
        struct verbs_rail *rail = &v->rails[i];
        /* In strict order: these are words that are compared, not bulk. */
        rail->slots = ibv_reg_mr(rail->pd, v->slots, SLOTS_BYTES, IBV_ACCESS_REMOTE_READ);
        rail->landing = ibv_reg_mr(rail->pd, v->landing, landing_bytes(v), IBV_ACCESS_LOCAL_WRITE);
        if (rail->slots == NULL || rail->landing == NULL) {
            transport_set_open_error("verbs: %s: registering memory: %s", rail->name,
                                     strerror(errno));
            verbs_slots_close(v);
            return CKPT_ERR_MEMORY;
        }
    }
    return CKPT_OK;
}

static void leave_slots(struct verbs_rail *rail)
{
    if (rail->slots != NULL) {
        ibv_dereg_mr(rail->slots);
    }
    if (rail->landing != NULL) {
        ibv_dereg_mr(rail->landing);
    }
    rail->slots = rail->landing = NULL;
}

void verbs_slots_close(struct verbs *v)
{
    for (uint32_t i = 0; i < v->rails_count; i++) {
        leave_slots(&v->rails[i]);
    }
    if (v->slots != NULL) {
        munmap(v->slots, SLOTS_BYTES);
    }
    if (v->landing != NULL) {
        munmap(v->landing, landing_bytes(v));
    }
    v->slots = v->landing = NULL;
}

/* Places are taken in turn: one that was freed is used again as late as can be. */
static bool find_place(struct verbs *v, uint32_t *place_out)
{
    for (uint32_t i = 0; i < VERBS_REGIONS_MAX; i++) {
        uint32_t place = (v->place_next + i) % VERBS_REGIONS_MAX;
        if (v->slots[place].id == 0) {
            v->place_next = (place + 1) % VERBS_REGIONS_MAX;
            *place_out = place;
            return true;
        }
    }
    return false;
}

static struct ibv_mr *register_at(struct verbs_rail *rail, const struct transport_memory *memory,
                                  uint64_t iova)
{
    /* Never REMOTE_WRITE, never REMOTE_ATOMIC: no memory of ours is writable by a peer. */
    unsigned access = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_RELAXED_ORDERING;

    if (!memory->read_only) {
        access |= IBV_ACCESS_LOCAL_WRITE;
    }
    if (memory->dmabuf) {
        return ibv_reg_dmabuf_mr(rail->pd, memory->dmabuf_offset, memory->bytes, iova,
                                 memory->dmabuf_fd, (int)access);
    }
    return ibv_reg_mr(rail->pd, memory->address, memory->bytes, access);
}

static void report_refusal(const struct verbs_rail *rail, const struct transport_memory *memory)
{
    struct rlimit limit = {0};
    int saved = errno;

    getrlimit(RLIMIT_MEMLOCK, &limit);
    log_event(EVENT_verbs_register_failed,
              "rail=%s bytes=%ju dmabuf=%d error=%s memlock_bytes=%ju hint=%s", rail->name,
              (uintmax_t)memory->bytes, memory->dmabuf, LOG_QUOTED(strerror(saved)),
              (uintmax_t)limit.rlim_cur,
              saved == ENOMEM ? LOG_QUOTED("every rail locks all registered memory: set "
                                           "LimitMEMLOCK=infinity in the unit, or ulimit -l")
                              : "none");
}

/* Whether the device registers dma-bufs: a driver that does complains of the descriptor. */
static bool takes_dmabuf(const struct verbs_rail *rail)
{
    struct ibv_mr *mr = ibv_reg_dmabuf_mr(rail->pd, 0, 4096, 0, -1, IBV_ACCESS_LOCAL_WRITE);

    if (mr != NULL) {
        ibv_dereg_mr(mr);
        return true;
    }
    return errno == EBADF;
}

/* Deregisters on all rails. False when the device still holds one of them. */
static bool deregister_all(struct verbs_region *region)
{
    bool done = true;

    for (uint32_t i = 0; i < VERBS_RAILS_MAX; i++) {
        if (region->mrs[i] != NULL) {
            if (ibv_dereg_mr(region->mrs[i]) == 0) {
                region->mrs[i] = NULL;
            } else {
                done = false;
            }
        }
    }
    return done;
}

/* Registration at one rail; pinning and the device's page tables are what takes the time. */
struct enrolment {
    struct verbs_rail *rail;
    const struct transport_memory *memory;
    uint64_t iova;
    struct ibv_mr *mr;
    int error;
};

static void *enrol(void *context)
{
    struct enrolment *e = context;

    e->mr = register_at(e->rail, e->memory, e->iova);
    e->error = errno;
    return NULL;
}

/* The other rails by threads of their own where that is worth one, the first by this thread. */
static void enrol_all(struct enrolment *enrolments, uint32_t count, bool large)
{
    pthread_t threads[VERBS_RAILS_MAX];
    bool started[VERBS_RAILS_MAX] = {false};

    for (uint32_t i = 1; i < count && large; i++) {
        started[i] = pthread_create(&threads[i], NULL, enrol, &enrolments[i]) == 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!started[i]) {
            enrol(&enrolments[i]);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (started[i]) {
            pthread_join(threads[i], NULL);
        }
    }
}

static enum ckpt_status check_rail(const struct verbs_rail *rail,
                                   const struct transport_memory *memory)
{
    if (memory->dmabuf && !takes_dmabuf(rail)) {
        log_event(EVENT_verbs_no_dmabuf, "rail=%s", rail->name);
        return CKPT_ERR_UNSUPPORTED;
    }
    if (memory->bytes > rail->device.max_mr_size) {
        errno = E2BIG; /* some drivers would cut it in silence */
        report_refusal(rail, memory);
        return CKPT_ERR_MEMORY;
    }
    return CKPT_OK;
}

static enum ckpt_status register_all(struct verbs *v, const struct transport_memory *memory,
                                     struct verbs_region *region)
{
    struct enrolment enrolments[VERBS_RAILS_MAX];
    enum ckpt_status status = CKPT_OK;
    uint32_t count = 0;

    for (uint32_t i = 0; i < v->rails_count && status == CKPT_OK; i++) {
        if (!v->rails[i].removed) {
            enrolments[count++] =
                (struct enrolment){.rail = &v->rails[i], .memory = memory, .iova = region->iova};
            status = check_rail(&v->rails[i], memory);
        }
    }
    if (status != CKPT_OK) {
        return status;
    }
    enrol_all(enrolments, count, memory->bytes >= PARALLEL_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        const struct verbs_rail *rail = enrolments[i].rail;
        region->mrs[rail->index] = enrolments[i].mr;
        if (enrolments[i].mr == NULL) {
            errno = enrolments[i].error;
            report_refusal(rail, memory);
            status = CKPT_ERR_MEMORY;
        }
    }
    if (status != CKPT_OK) {
        deregister_all(region);
    }
    return status;
}

enum ckpt_status verbs_register(struct transport *t, const struct transport_memory *memory,
                                struct transport_region **region_out)
{
    struct verbs *v = as_verbs(t);
    struct verbs_region *region = calloc(1, sizeof(*region));
    struct verbs_slot *slot;
    enum ckpt_status status;

    if (region == NULL) {
        return CKPT_ERR_MEMORY;
    }
    /* That of a dma-buf must have the same offset within a page as dmabuf_offset. */
    region->iova = memory->address != NULL ? (uintptr_t)memory->address : memory->dmabuf_offset;
    region->near = verbs_rails_near(v, memory->near);
    if (!find_place(v, &region->place)) {
        free(region);
        return CKPT_ERR_MEMORY;
    }
    status = register_all(v, memory, region);
    if (status != CKPT_OK) {
        free(region);
        return status;
    }
    slot = &v->slots[region->place];
    region->id = ++v->region_serial;
    region->base = (struct transport_region){.transport = t,
                                             .address = memory->address,
                                             .bytes = memory->bytes,
                                             .generation = &slot->generation,
                                             .read_only = memory->read_only};
    __atomic_store_n(&slot->generation, memory->generation, __ATOMIC_SEQ_CST);
    __atomic_store_n(&slot->id, region->id, __ATOMIC_SEQ_CST);
    region->next = v->regions;
    v->regions = region;
    *region_out = &region->base;
    return CKPT_OK;
}

static void forget(struct verbs *v, struct verbs_region *region)
{
    for (struct verbs_region **link = &v->regions; *link != NULL; link = &(*link)->next) {
        if (*link == region) {
            *link = region->next;
            break;
        }
    }
    free(region);
}

enum ckpt_status verbs_deregister(struct transport_region *base)
{
    struct verbs *v = as_verbs(base->transport);
    struct verbs_region *region = (struct verbs_region *)(void *)base;
    uint64_t begin = clock_now_ns();

    /* From here on no reader's check succeeds, whatever the key still gives. */
    __atomic_store_n(&v->slots[region->place].id, 0, __ATOMIC_SEQ_CST);
    while (!deregister_all(region)) {
        uint64_t now = clock_now_ns();
        if (now > begin + VERBS_CLOSE_NS) {
            return CKPT_ERR_TIMEOUT;
        }
        if (now > begin + VERBS_CLOSE_NS / 2) {
            verbs_clients_fail(v);
        }
    }
    forget(v, region);
    return CKPT_OK;
}

void verbs_regions_close(struct verbs *v)
{
    while (v->regions != NULL) {
        struct verbs_region *region = v->regions;
        deregister_all(region);
        v->regions = region->next;
        free(region);
    }
}

void verbs_regions_leave(struct verbs_rail *rail)
{
    for (struct verbs_region *region = rail->verbs->regions; region != NULL;
         region = region->next) {
        /* What the device does not give back now goes with its context. */
        if (region->mrs[rail->index] != NULL) {
            ibv_dereg_mr(region->mrs[rail->index]);
            region->mrs[rail->index] = NULL;
        }
    }
    leave_slots(rail);
}

enum ckpt_status verbs_export(struct transport_region *base, uint8_t *descriptor_out,
                              size_t *bytes_out)
{
    struct verbs *v = as_verbs(base->transport);
    struct verbs_region *region = (struct verbs_region *)(void *)base;
    struct ticket ticket = {.address = region->iova,
                            .slot = (uintptr_t)&v->slots[region->place],
                            .rails_count = v->rails_count};
    uint8_t payload[TICKET_BYTES_MAX];

    /* A removed rail has no keys; nobody connects to it any more. */
    for (uint32_t i = 0; i < v->rails_count; i++) {
        if (!v->rails[i].removed) {
            ticket.keys[i].region = region->mrs[i]->rkey;
            ticket.keys[i].slots = v->rails[i].slots->rkey;
        }
    }
    struct label label = {.kind = LABEL_REGION,
                          .backend = LABEL_VERBS,
                          .transport = v->id,
                          .region = region->id,
                          .generation = __atomic_load_n(base->generation, __ATOMIC_SEQ_CST),
                          .bytes = base->bytes,
                          .payload = payload,
                          .payload_bytes = ticket_encode(&ticket, payload)};
    return label_encode(&label, descriptor_out, CKPT_DESCRIPTOR_MAX, bytes_out);
}
