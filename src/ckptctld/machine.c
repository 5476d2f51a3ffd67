/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/machine.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/reason.h"
#include "ckptctld/tier.h"

#define DAY_MS (24 * 3600 * 1000)
#define EXPIRE_MAX_MS (3650LL * DAY_MS)
#define FORGET_MAX_MS (40LL * DAY_MS) /* of 32 bits */

static const char *const digests[] = {"blake3", "fingerprint", NULL};
static const enum digest_kind digest_kinds[] = {DIGEST_KIND_BLAKE3, DIGEST_KIND_FINGERPRINT};

/* The defaults of sizes and times are coordinator_config_default's; a unit test compares them. */
static const struct config_key keys[MACHINE_KEYS] = {
    [MACHINE_AGENTS] = {.section = "coordinator",
                        .name = "agents_max",
                        .flag = "agents-max",
                        .type = CONFIG_INTEGER,
                        .fallback = "1024",
                        .min = 1,
                        .max = CKPT_AGENTS_MAX,
                        .help = "nodes that may be joined at once"},
    [MACHINE_RUNS] = {.section = "coordinator",
                      .name = "runs_max",
                      .flag = "runs-max",
                      .type = CONFIG_INTEGER,
                      .fallback = "1024",
                      .min = 1,
                      .max = 65536,
                      .help = "training runs known at once"},
    [MACHINE_CHECKPOINTS] = {.section = "coordinator",
                             .name = "checkpoints_max",
                             .flag = "checkpoints-max",
                             .type = CONFIG_INTEGER,
                             .fallback = "16384",
                             .min = 4,
                             .max = 1 << 20,
                             .help = "checkpoints known at once, of all runs"},
    [MACHINE_SHARDS] = {.section = "coordinator",
                        .name = "shards_max",
                        .flag = "shards-max",
                        .type = CONFIG_INTEGER,
                        .fallback = "65536",
                        .min = 16,
                        .max = 1 << 26,
                        .help =
                            "shards known at once, of all checkpoints: about (keep + 2) times the "
                            "ranks of all runs"},
    [MACHINE_KEEP] = {.section = "coordinator",
                      .name = "keep",
                      .flag = "keep",
                      .type = CONFIG_INTEGER,
                      .fallback = "2",
                      .min = 1,
                      .max = 64,
                      .help = "consistent checkpoints kept of each run"},
    [MACHINE_HEARTBEAT] = {.section = "coordinator",
                           .name = "heartbeat",
                           .flag = "heartbeat",
                           .type = CONFIG_DURATION,
                           .fallback = "500ms",
                           .min = 10,
                           .max = DAY_MS,
                           .help = "how often an agent says that it lives"},
    [MACHINE_LEASE] = {.section = "coordinator",
                       .name = "lease",
                       .flag = "lease",
                       .type = CONFIG_DURATION,
                       .fallback = "3s",
                       .min = 20,
                       .max = DAY_MS,
                       .help = "an agent silent for so long is lost; more than twice heartbeat"},
    [MACHINE_GRACE] = {.section = "coordinator",
                       .name = "disconnect_grace",
                       .flag = "disconnect-grace",
                       .type = CONFIG_DURATION,
                       .fallback = "1s",
                       .max = DAY_MS,
                       .help = "an agent whose connection closed is lost after so long"},
    [MACHINE_FORGET] = {.section = "coordinator",
                        .name = "forget",
                        .flag = "forget",
                        .type = CONFIG_DURATION,
                        .fallback = "24h",
                        .min = 20,
                        .max = FORGET_MAX_MS,
                        .help =
                            "a lost agent's node is off the list of nodes after so long, unless "
                            "copies belong there"},
    [MACHINE_SAVE_TIMEOUT] = {.section = "coordinator",
                              .name = "save_timeout",
                              .flag = "save-timeout",
                              .type = CONFIG_DURATION,
                              .fallback = "120s",
                              .min = 10,
                              .max = DAY_MS,
                              .help = "an open checkpoint without progress for so long is aborted"},
    [MACHINE_RESEND] = {.section = "coordinator",
                        .name = "resend",
                        .flag = "resend",
                        .type = CONFIG_DURATION,
                        .fallback = "500ms",
                        .min = 10,
                        .max = DAY_MS,
                        .help = "an order without an answer for so long is sent again"},
    [MACHINE_SETTLE] = {.section = "coordinator",
                        .name = "restore_settle",
                        .flag = "restore-settle",
                        .type = CONFIG_DURATION,
                        .fallback = "10s",
                        .max = DAY_MS,
                        .help = "after a start, agents that have not come back are waited for so "
                                "long before their copies are made again; and a restore waits so "
                                "long for a newer checkpoint that is being verified"},
    [MACHINE_REPAIR_AFTER] = {.section = "coordinator",
                              .name = "repair_after",
                              .flag = "repair-after",
                              .type = CONFIG_DURATION,
                              .fallback = "10s",
                              .max = DAY_MS,
                              .help =
                                  "a lost agent's copies are made again after so long; if it comes "
                                  "back before, nothing is copied"},
    [MACHINE_RESTORE_TIMEOUT] = {.section = "coordinator",
                                 .name = "restore_timeout",
                                 .flag = "restore-timeout",
                                 .type = CONFIG_DURATION,
                                 .fallback = "300s",
                                 .min = 10,
                                 .max = DAY_MS,
                                 .help = "all ranks must have asked and be ready in this"},
    [MACHINE_PASSES] = {.section = "coordinator",
                        .name = "restore_passes",
                        .flag = "restore-passes",
                        .type = CONFIG_INTEGER,
                        .fallback = "3",
                        .min = 1,
                        .max = 1000,
                        .help = "passes over all copies before a checkpoint is quarantined"},
    [MACHINE_PULL_ATTEMPTS] = {.section = "coordinator",
                               .name = "pull_attempts_max",
                               .flag = "pull-attempts-max",
                               .type = CONFIG_INTEGER,
                               .fallback = "6",
                               .min = 1,
                               .max = 200,
                               .help = "failed pulls and differing digests of one shard before its "
                                       "checkpoint is aborted"},
    [MACHINE_ENDED_TIMEOUT] = {.section = "coordinator",
                               .name = "ended_timeout",
                               .flag = "ended-timeout",
                               .type = CONFIG_DURATION,
                               .fallback = "15s",
                               .min = 10,
                               .max = DAY_MS,
                               .help = "an open checkpoint whose job has ended is aborted after so "
                                       "long without progress"},
    [MACHINE_PRESSURE] = {.section = "coordinator",
                          .name = "pressure_percent",
                          .flag = "pressure-percent",
                          .type = CONFIG_INTEGER,
                          .fallback = "10",
                          .max = 100,
                          .help = "of an arena: with less free, runs whose jobs have ended give up "
                                  "what they may"},
    [MACHINE_USER_SHARE] =
        {.section = "coordinator",
         .name = "user_share",
         .flag = "user-share",
         .type = CONFIG_INTEGER,
         .fallback = "75",
         .min = 1,
         .max = 100,
         .help = "percent of runs, checkpoints and shards that one user may take by "
                 "himself; the rest is for users who have little. Root may have all"},
    [MACHINE_EXPIRE] = {.section = "coordinator",
                        .name = "expire",
                        .flag = "expire",
                        .type = CONFIG_DURATION,
                        .fallback = "168h",
                        .max = EXPIRE_MAX_MS,
                        .help =
                            "a run that nobody saves, loads or reads for so long keeps its newest "
                            "checkpoint alone; a restart counts anew; 0: never"},
    [MACHINE_EXPIRE_LAST] = {.section = "coordinator",
                             .name = "expire_last",
                             .flag = "expire-last",
                             .type = CONFIG_BOOL,
                             .fallback = "no",
                             .help = "gives up the newest checkpoint of an expired run too"},
    [MACHINE_DIGEST] = {.section = "coordinator",
                        .name = "digest",
                        .flag = "digest",
                        .type = CONFIG_ENUM,
                        .choices = digests,
                        .fallback = "fingerprint",
                        .help = "what copies of a new run are proven with: fingerprint, under a "
                                "key of the run's own, at the speed of memory, or blake3. A run "
                                "goes on with what it began with"},
};

static uint32_t number(const struct config *config, enum machine_key key)
{
    return (uint32_t)part_number(config, &part_machine, key);
}

struct coordinator_config machine_config(const struct config *config)
{
    return (struct coordinator_config){
        .agents_max = number(config, MACHINE_AGENTS),
        .runs_max = number(config, MACHINE_RUNS),
        .checkpoints_max = number(config, MACHINE_CHECKPOINTS),
        .shards_max = number(config, MACHINE_SHARDS),
        .keep = number(config, MACHINE_KEEP),
        .heartbeat_ms = number(config, MACHINE_HEARTBEAT),
        .lease_ms = number(config, MACHINE_LEASE),
        .disconnect_grace_ms = number(config, MACHINE_GRACE),
        .forget_ms = number(config, MACHINE_FORGET),
        .save_timeout_ms = number(config, MACHINE_SAVE_TIMEOUT),
        .resend_ms = number(config, MACHINE_RESEND),
        .restore_settle_ms = number(config, MACHINE_SETTLE),
        .repair_after_ms = number(config, MACHINE_REPAIR_AFTER),
        .restore_timeout_ms = number(config, MACHINE_RESTORE_TIMEOUT),
        .restore_passes = number(config, MACHINE_PASSES),
        .pull_attempts_max = number(config, MACHINE_PULL_ATTEMPTS),
        .ended_timeout_ms = number(config, MACHINE_ENDED_TIMEOUT),
        .pressure_percent = number(config, MACHINE_PRESSURE),
        .user_share_percent = number(config, MACHINE_USER_SHARE),
        .expire_ms = (uint64_t)part_number(config, &part_machine, MACHINE_EXPIRE),
        .expire_last = part_number(config, &part_machine, MACHINE_EXPIRE_LAST) != 0,
        .digest = digest_kinds[number(config, MACHINE_DIGEST)],
        .persist_every = (uint64_t)part_number(config, &part_tier, TIER_EVERY),
        .persist_max_age_ms = (uint64_t)part_number(config, &part_tier, TIER_MAX_AGE),
    };
}

/* What the machine wants of two of them, in the words of the file. */
static enum ckpt_status check_times(const struct config *config, char *reason)
{
    static const struct {
        enum machine_key key;
        enum machine_key than;
        int64_t times;
        const char *must;
        bool may_be_equal;
    } rules[] = {
        {MACHINE_LEASE, MACHINE_HEARTBEAT, 2, "must be more than twice", false},
        {MACHINE_FORGET, MACHINE_LEASE, 1, "must be at least", true},
        {MACHINE_SAVE_TIMEOUT, MACHINE_RESEND, 1, "must be at least", true},
        {MACHINE_RESTORE_TIMEOUT, MACHINE_RESEND, 1, "must be at least", true},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        char said[CONFIG_SAID_SIZE];
        char than[CONFIG_SAID_SIZE];
        int64_t value = part_number(config, &part_machine, rules[i].key);
        int64_t bound = rules[i].times * part_number(config, &part_machine, rules[i].than);
        if (value > bound || (rules[i].may_be_equal && value == bound)) {
            continue;
        }
        config_say(config, part_key(&part_machine, rules[i].key), said);
        config_say(config, part_key(&part_machine, rules[i].than), than);
        return reason_refuse(reason, CKPT_ERR_CONFIG, "%s: %s %s", said, rules[i].must, than);
    }
    return CKPT_OK;
}

static enum ckpt_status check(const struct config *config, char *reason)
{
    struct coordinator_config machine = machine_config(config);
    enum ckpt_status status = check_times(config, reason);
    if (status == CKPT_OK && coordinator_memory_bytes(&machine, reason) == 0) {
        status = CKPT_ERR_CONFIG;
    }
    return status;
}

/* Zeroed, and in pages that cost nothing until they are touched. */
static bool make_memory(struct daemon *daemon)
{
    char reason[CKPT_REASON_MAX + 1];
    size_t bytes = coordinator_memory_bytes(&daemon->options.machine, reason);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    daemon->memory = memory;
    daemon->memory_bytes = bytes;
    return true;
}

bool machine_draw_secret(struct daemon *daemon)
{
    return getrandom(&daemon->secret, sizeof(daemon->secret), 0) == sizeof(daemon->secret);
}

enum ckpt_status machine_make(struct daemon *daemon, uint64_t epoch)
{
    uint64_t seed;
    if (!make_memory(daemon) || getrandom(&seed, sizeof(seed), 0) != sizeof(seed) ||
        !machine_draw_secret(daemon)) {
        return CKPT_ERR_MEMORY;
    }
    return coordinator_init(daemon->memory, daemon->memory_bytes, &daemon->options.machine, epoch,
                            seed, &daemon->machine);
}

void machine_free(struct daemon *daemon)
{
    if (daemon->memory) {
        munmap(daemon->memory, daemon->memory_bytes);
        daemon->memory = NULL;
    }
}

struct part part_machine = {.keys = keys, .key_count = MACHINE_KEYS, .check = check};
