/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/workers.h"

#include <string.h>

#include "arena/arena.h"
#include "base/reason.h"
#include "ckptd/quiet.h"
#include "mover/mover.h"

static const char *const engines[] = {"auto", "scalar", "sse41", "avx2", "avx512", "neon", NULL};

static const struct config_key keys[ENGINE_KEYS] = {
    [ENGINE_ENGINE] = {.section = "digest",
                       .name = "engine",
                       .type = CONFIG_ENUM,
                       .choices = engines,
                       .fallback = "auto",
                       .help = "BLAKE3 engine; auto: the widest this CPU runs"},
    [ENGINE_THREADS] = {.section = "digest",
                        .name = "threads",
                        .type = CONFIG_INTEGER,
                        .fallback = "2",
                        .min = 1,
                        .max = 64,
                        .help = "threads that digest"},
    [ENGINE_NICE] = {.section = "digest",
                     .name = "nice",
                     .type = CONFIG_INTEGER,
                     .fallback = "10",
                     .max = 19,
                     .help = "how far the digest threads stand back behind the trainer"},
};

/* ---- the digest engine ---- */

static enum ckpt_status select_engine(const struct config *config,
                                      const struct digest_engine **engine_out)
{
    const char *engine = part_text(config, &part_engine, ENGINE_ENGINE);
    return digest_engine_select(strcmp(engine, "auto") == 0 ? NULL : engine, engine_out);
}

static enum ckpt_status check_engine(const struct config *config, char *reason)
{
    const struct digest_engine *engine;
    return select_engine(config, &engine) == CKPT_OK
               ? CKPT_OK
               : part_refuse(config, &part_engine, ENGINE_ENGINE, reason, "this CPU can't run it");
}

static enum ckpt_status start_engine(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    enum ckpt_status status = select_engine(d->config, &d->engine);
    return status == CKPT_OK
               ? CKPT_OK
               : reason_refuse(reason, status, "[digest] engine %s can't run on this CPU",
                               part_text(d->config, &part_engine, ENGINE_ENGINE));
}

struct part part_engine = {
    .keys = keys, .key_count = ENGINE_KEYS, .check = check_engine, .start = start_engine};

/* ---- the digest threads ---- */

static enum ckpt_status start_digester(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    enum ckpt_status status =
        digester_start((uint32_t)part_number(d->config, &part_engine, ENGINE_THREADS),
                       (int)part_number(d->config, &part_engine, ENGINE_NICE),
                       &d->rails.digest_cpus, &d->digester);
    return status == CKPT_OK ? CKPT_OK
                             : reason_refuse(reason, status, "the digest threads can't be started");
}

static void stop_digester(void *daemon)
{
    struct daemon *d = daemon;
    digester_stop(&d->digester);
}

struct part part_digester = {.start = start_digester, .stop = stop_digester};

/* ---- the mover ---- */

static enum ckpt_status start_mover(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    enum ckpt_status status = mover_start(d->mover, d->arena, d->digester, d->completions, reason);
    if (status == CKPT_OK) {
        status = arena_guard_install(); /* UCX has put its own handler in front */
    }
    return status;
}

static void stop_mover(void *daemon)
{
    struct daemon *d = daemon;
    mover_stop(&d->mover);
}

struct part part_mover = {.start = start_mover, .stop = stop_mover};

/* ---- the quiet ---- */

static enum ckpt_status start_quiet(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    enum ckpt_status status =
        quiet_make(d->base, arena_slot_count(d->arena), d->digester, d->mover, &d->quiet);
    return status == CKPT_OK ? CKPT_OK : reason_refuse(reason, status, "out of memory");
}

static void stop_quiet(void *daemon)
{
    struct daemon *d = daemon;
    quiet_free(&d->quiet);
}

struct part part_quiet = {.start = start_quiet, .stop = stop_quiet};
