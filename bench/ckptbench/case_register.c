/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench register: what it costs to make memory ready for a transport: faulting it in, and
 * registering it, rail after rail and with a thread for each rail. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "memory/buffer.h"
#include "base/reason.h"
#include "case.h"
#include "process/clock.h"
#include "options.h"
#include "process/progress.h"
#include "raw/rail_list.h"
#include "report/report.h"
#include "transport/transport.h"

enum key {
    KEY_BYTES,
    KEY_TRANSPORT,
    KEY_DEVICES,
    KEY_SEGMENT,
    KEY_REPEAT,
    KEY_JSON,
    KEY_CSV,
    KEY_COUNT
};

static const struct config_key keys[KEY_COUNT] = {
    [KEY_BYTES] = OPTION_BYTES("1GiB", 1 << 20, "memory to register each time"),
    [KEY_TRANSPORT] = OPTION_TRANSPORT("whose registration: verbs, verbs:DEVICE+DEVICE, ucx:tcp"),
    [KEY_DEVICES] = OPTION_DEVICES("the rails; verbs without them: every port that is up"),
    [KEY_SEGMENT] = OPTION_SEGMENT("size of one registered region"),
    [KEY_REPEAT] = OPTION_REPEAT("7", "turns, after one that is not counted"),
    [KEY_JSON] = OPTION_JSON,
    [KEY_CSV] = OPTION_CSV,
};

static const struct config_program program = {
    .name = "ckptbench register",
    .version = CKPT_VERSION,
    .summary = "Measures registration of memory whose pages are there, a GiB: by one transport "
               "over all rails, as an agent does; by a transport for each rail, one after the "
               "other; and the same with a thread for each. Beside it what faulting the pages in "
               "costs.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .examples = "  ckptbench register --transport=verbs\n"
                "  ckptbench register --transport=ucx:tcp --bytes=4GiB\n",
};

/* A transport that registers all of the memory. */
struct registrar {
    struct transport *transport;
    uint8_t *memory;
    uint64_t segment_bytes;
    uint32_t segments;
    struct transport_region **regions;
    enum ckpt_status status;
};

enum way { WAY_FAULT, WAY_ONE, WAY_SERIAL, WAY_PARALLEL, WAY_RELEASE, WAYS };

static const char *const way_labels[WAYS] = {
    "faulting pages in", "one transport, all rails", "a transport a rail, in turn",
    "a transport a rail, in parallel", "deregistering, all rails"};

struct registration {
    struct rail_list list;
    uint64_t bytes;
    uint64_t segment_bytes;
    uint32_t repeat;
    uint8_t *memory;
    struct registrar all;
    struct registrar each[RAIL_LIST_MAX];
    struct samples ms_per_gib[WAYS];
};

static enum ckpt_status open_registrar(const struct registration *r, struct registrar *registrar,
                                       const struct rail_choice *choice, char *reason)
{
    struct transport_options options = {.devices =
                                            choice->devices[0] != '\0' ? choice->devices : NULL};
    registrar->memory = r->memory;
    registrar->segment_bytes = r->segment_bytes;
    registrar->segments = (uint32_t)((r->bytes + r->segment_bytes - 1) / r->segment_bytes);
    registrar->regions = calloc(registrar->segments, sizeof(*registrar->regions));
    enum ckpt_status status = CKPT_ERR_MEMORY;
    if (registrar->regions != NULL) {
        status = transport_open(choice->transport, &options, &registrar->transport);
        reason_set(reason, "%s", transport_open_error());
    }
    return status;
}

static void *register_all(void *context)
{
    struct registrar *registrar = context;
    registrar->status = CKPT_OK;
    for (uint32_t i = 0; i < registrar->segments && registrar->status == CKPT_OK; i++) {
        struct transport_memory memory = {.address =
                                              registrar->memory + i * registrar->segment_bytes,
                                          .bytes = registrar->segment_bytes,
                                          .generation = 1};
        registrar->status =
            transport_register(registrar->transport, &memory, &registrar->regions[i]);
    }
    return NULL;
}

static void deregister_all(struct registrar *registrar)
{
    for (uint32_t i = 0; i < registrar->segments; i++) {
        if (registrar->regions[i] != NULL) {
            (void)transport_deregister(registrar->regions[i]);
            registrar->regions[i] = NULL;
        }
    }
}

static enum ckpt_status first_failure(const struct registration *r)
{
    enum ckpt_status status = CKPT_OK;
    for (uint32_t i = 0; i < r->list.count && status == CKPT_OK; i++) {
        status = r->each[i].status;
    }
    return status;
}

static enum ckpt_status serial(struct registration *r)
{
    for (uint32_t i = 0; i < r->list.count; i++) {
        register_all(&r->each[i]);
    }
    return first_failure(r);
}

static enum ckpt_status parallel(struct registration *r)
{
    pthread_t threads[RAIL_LIST_MAX];
    uint32_t started = 0;
    enum ckpt_status status = CKPT_OK;
    for (; started < r->list.count && status == CKPT_OK; started++) {
        if (pthread_create(&threads[started], NULL, register_all, &r->each[started]) != 0) {
            status = CKPT_ERR_SYSTEM;
            break;
        }
    }
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    return status == CKPT_OK ? first_failure(r) : status;
}

static void deregister_each(struct registration *r)
{
    for (uint32_t i = 0; i < r->list.count; i++) {
        deregister_all(&r->each[i]);
    }
}

/* Milliseconds a GiB of memory since start. */
static void note(struct registration *r, enum way way, uint64_t start_ns, bool counts)
{
    double gib = (double)r->bytes / (double)CKPT_GIB;
    if (counts) {
        samples_add(&r->ms_per_gib[way], seconds_since(start_ns) * 1e3 / gib);
    }
}

static enum ckpt_status fault_turn(struct registration *r, bool counts)
{
    uint64_t start = clock_now_ns();
    uint8_t *fresh = buffer_make_shared(r->bytes);
    if (fresh == NULL) {
        return CKPT_ERR_MEMORY;
    }
    note(r, WAY_FAULT, start, counts);
    buffer_free(&fresh, r->bytes);
    return CKPT_OK;
}

static enum ckpt_status turn(struct registration *r, bool counts)
{
    enum ckpt_status status = fault_turn(r, counts);
    if (status != CKPT_OK) {
        return status;
    }
    uint64_t start = clock_now_ns();
    register_all(&r->all);
    note(r, WAY_ONE, start, counts);
    start = clock_now_ns();
    deregister_all(&r->all);
    note(r, WAY_RELEASE, start, counts);
    status = r->all.status;
    if (r->list.count > 1 && status == CKPT_OK) {
        start = clock_now_ns();
        status = serial(r);
        note(r, WAY_SERIAL, start, counts);
        deregister_each(r);
    }
    if (r->list.count > 1 && status == CKPT_OK) {
        start = clock_now_ns();
        status = parallel(r);
        note(r, WAY_PARALLEL, start, counts);
        deregister_each(r);
    }
    return status;
}

static enum ckpt_status measure(void *work, char *reason)
{
    struct registration *r = work;
    struct rail_choice choice;
    rail_list_choose_all(&r->list, &choice);
    enum ckpt_status status = open_registrar(r, &r->all, &choice, reason);
    for (uint32_t i = 0; i < r->list.count && r->list.count > 1 && status == CKPT_OK; i++) {
        rail_list_choose(&r->list, &i, 1, &choice);
        status = open_registrar(r, &r->each[i], &choice, reason);
    }
    for (uint32_t i = 0; i <= r->repeat && status == CKPT_OK; i++) {
        progress_part(i, r->repeat + UINT64_C(1), "register: turn %u of %u", i, r->repeat);
        reason[0] = '\0';
        status = turn(r, i > 0);
    }
    return status;
}

static bool tell(void *work, const struct config *config)
{
    const struct registration *r = work;
    static const struct report_column columns[] = {
        {.key = "ms_per_gib", .head = "ms/GiB", .digits = 3},
        {.key = "ms_per_gib_min", .head = "min", .digits = 3},
        {.key = "ms_per_gib_max", .head = "max", .digits = 3},
    };
    char title[160];
    snprintf(title, sizeof(title), "Making memory ready for %.60s, %u rail%s",
             config_text(config, KEY_TRANSPORT), r->list.count > 0 ? r->list.count : 1,
             r->list.count > 1 ? "s" : "");
    struct report *report = report_make("register", title);
    if (report == NULL) {
        return false;
    }
    report_set_text(report, "transport", config_text(config, KEY_TRANSPORT));
    report_set_integer(report, "bytes", r->bytes);
    report_set_integer(report, "segment_bytes", r->segment_bytes);
    report_set_integer(report, "rails", r->list.count);
    report_set(report, "pins_memory", json_boolean(r->all.transport->capabilities.pins_memory));
    if (!r->all.transport->capabilities.pins_memory) {
        report_say(report, "This transport pins nothing: registering is bookkeeping.");
    }
    if (r->list.count < 2) {
        report_say(report, "Serial and parallel need two rails (--devices=NAME,NAME).");
    }
    report_columns(report, "what", columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < WAYS; i++) {
        const struct samples *samples = &r->ms_per_gib[i];
        const double values[] = {samples_median(samples), samples_min(samples),
                                 samples_max(samples)};
        if (samples->count > 0) {
            report_point(report, way_labels[i], values);
            report_point_samples(report, "ms_per_gib", samples);
        }
    }
    bool given = report_give(report, &(struct report_files){config_text(config, KEY_JSON),
                                                            config_text(config, KEY_CSV)});
    report_free(&report);
    return given;
}

static enum ckpt_status prepare(const struct config *config, void *work, char *reason)
{
    struct registration *r = work;
    struct topology *topology = NULL;
    r->segment_bytes = (uint64_t)config_number(config, KEY_SEGMENT);
    r->bytes = (uint64_t)config_number(config, KEY_BYTES);
    r->bytes = (r->bytes + r->segment_bytes - 1) / r->segment_bytes * r->segment_bytes;
    r->repeat = (uint32_t)config_number(config, KEY_REPEAT);
    enum ckpt_status status = topology_read_machine(&topology, reason, CKPT_REASON_MAX + 1);
    if (status == CKPT_OK) {
        status = rail_list_make(config, KEY_DEVICES, config_text(config, KEY_TRANSPORT), topology,
                                &r->list, reason);
    }
    topology_delete(&topology);
    if (status == CKPT_OK) {
        progress("register: memory");
        r->memory = buffer_make_shared(r->bytes);
        status = r->memory != NULL ? CKPT_OK : CKPT_ERR_MEMORY;
    }
    return status;
}

static void close_registrar(struct registrar *registrar)
{
    transport_close(registrar->transport, NULL, NULL);
    free(registrar->regions);
}

static void close_registration(void *work)
{
    struct registration *r = work;
    close_registrar(&r->all);
    for (uint32_t i = 0; i < RAIL_LIST_MAX; i++) {
        close_registrar(&r->each[i]);
    }
    buffer_free(&r->memory, r->bytes);
}

const struct bench_case case_register = {
    .name = "register",
    .summary = "what registering memory costs, rail after rail and in parallel",
    .program = &program,
    .bytes = sizeof(struct registration),
    .prepare = prepare,
    .measure = measure,
    .tell = tell,
    .close = close_registration};
