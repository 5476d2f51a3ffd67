/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/tier.h"

#include <event2/event.h>
#include <string.h>

#include "base/reason.h"
#include "ckptd/tier_queue.h"
#include "ckptd/turn.h"

#define LOOK_S 1 /* between two looks at whether the tier hangs */

static const struct config_key keys[TIER_KEYS] = {
    [TIER_PATH] = {.section = "tier",
                   .name = "path",
                   .type = CONFIG_STRING,
                   .fallback_is = "no tier",
                   .help = "where consistent checkpoints are taken to: a folder (/PATH) that every "
                           "agent of the cluster has mounted, or s3://BUCKET/PREFIX"},
    [TIER_BYTES_PER_SECOND] = {.section = "tier",
                               .name = "bytes_per_second",
                               .type = CONFIG_BYTES,
                               .fallback = "0",
                               .max = INT64_C(1) << 50,
                               .help = "that this agent writes there at most; 0: no limit"},
    [TIER_ENDPOINT] = {.section = "tier",
                       .name = "endpoint",
                       .type = CONFIG_STRING,
                       .fallback_is = "AWS' own for the region",
                       .help = "of an S3 server: https://HOST:PORT"},
    [TIER_REGION] = {.section = "tier",
                     .name = "region",
                     .type = CONFIG_STRING,
                     .fallback_is = "$AWS_REGION, or us-east-1",
                     .help = "of an S3 bucket"},
    [TIER_TIMEOUT] = {.section = "tier",
                      .name = "timeout",
                      .type = CONFIG_DURATION,
                      .fallback = "60s",
                      .min = 1000,
                      .max = 24 * 3600 * 1000,
                      .help = "a tier that has taken nothing for so long hangs: it is said, and "
                              "nothing waits for it"},
    [TIER_NICE] = {.section = "tier",
                   .name = "nice",
                   .type = CONFIG_INTEGER,
                   .fallback = "10",
                   .max = 19,
                   .help = "how far the thread that writes there stands back behind the trainer"},
};

static enum ckpt_status check(const struct config *config, char *reason)
{
    static const char *const kinds[] = {"/", "posix:/", "s3://", "memory:"};
    const char *path = part_text(config, &part_tier, TIER_PATH);
    bool is_known = path == NULL || path[0] == '\0';
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !is_known; i++) {
        is_known = strncmp(path, kinds[i], strlen(kinds[i])) == 0;
    }
    return is_known ? CKPT_OK
                    : part_refuse(config, &part_tier, TIER_PATH, reason,
                                  "must be /PATH or s3://BUCKET/PREFIX");
}

static void tell(struct daemon *d, const struct tier_job *job)
{
    struct agent_event event = {.type = AGENT_WORK_DONE,
                                .work = job->work,
                                .status = job->status,
                                .digest = job->name,
                                .bytes = job->bytes,
                                .reason = job->status != CKPT_OK ? job->reason : NULL};
    turn_event(d, &event);
}

static void on_ended(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct daemon *d = context;
    struct tier_job *job = tier_queue_take(d->tier);
    while (job != NULL) {
        struct tier_job *next = job->next;
        tell(d, job);
        tier_job_free(job);
        job = next;
    }
}

static enum ckpt_status make_events(struct daemon *d)
{
    const struct timeval look = {.tv_sec = LOOK_S};
    d->tier_event = event_new(d->base, tier_queue_fd(d->tier), EV_READ | EV_PERSIST, on_ended, d);
    d->tier_look_event = event_new(d->base, -1, EV_PERSIST, on_ended, d);
    bool is_made = d->tier_event != NULL && d->tier_look_event != NULL &&
                   event_add(d->tier_event, NULL) == 0 && event_add(d->tier_look_event, &look) == 0;
    return is_made ? CKPT_OK : CKPT_ERR_MEMORY;
}

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    const char *path = part_text(d->config, &part_tier, TIER_PATH);
    if (path == NULL || path[0] == '\0') {
        return CKPT_OK;
    }
    const char *endpoint = part_text(d->config, &part_tier, TIER_ENDPOINT);
    const char *region = part_text(d->config, &part_tier, TIER_REGION);
    struct tier_options options = {
        .incarnation = d->incarnation,
        .bytes_per_second = (uint64_t)part_number(d->config, &part_tier, TIER_BYTES_PER_SECOND),
        .endpoint = endpoint != NULL && endpoint[0] != '\0' ? endpoint : NULL,
        .region = region != NULL && region[0] != '\0' ? region : NULL,
    };
    enum ckpt_status status =
        tier_queue_make(path, &options, (uint32_t)part_number(d->config, &part_tier, TIER_TIMEOUT),
                        (int)part_number(d->config, &part_tier, TIER_NICE), &d->tier);
    if (status == CKPT_OK) {
        status = make_events(d);
    }
    return status == CKPT_OK ? CKPT_OK
                             : reason_refuse(reason, status, "the tier's thread can't be made");
}

static void stop(void *daemon)
{
    struct daemon *d = daemon;
    if (d->tier_event != NULL) {
        event_free(d->tier_event);
    }
    if (d->tier_look_event != NULL) {
        event_free(d->tier_look_event);
    }
    tier_queue_free(&d->tier);
}

struct part part_tier = {
    .keys = keys, .key_count = TIER_KEYS, .check = check, .start = start, .stop = stop};
