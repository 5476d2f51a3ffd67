/* SPDX-License-Identifier: Apache-2.0 */
#include "completions.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct completions {
    pthread_mutex_t lock;
    int fd;
    struct job *first_job;
    struct job **last_job;
    struct offer_reply *first_offer;
    struct offer_reply **last_offer;
};

enum ckpt_status completions_make(struct completions **completions_out)
{
    struct completions *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return CKPT_ERR_MEMORY;
    }
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fd < 0) {
        free(c);
        return CKPT_ERR_SYSTEM;
    }
    pthread_mutex_init(&c->lock, NULL);
    c->last_job = &c->first_job;
    c->last_offer = &c->first_offer;
    *completions_out = c;
    return CKPT_OK;
}

void completions_free(struct completions **completions)
{
    struct completions *c = *completions;
    if (c == NULL) {
        return;
    }
    struct job *job;
    struct offer_reply *offer;
    completions_take(c, &job, &offer);
    while (job != NULL) {
        struct job *next = job->next;
        job_free(job);
        job = next;
    }
    while (offer != NULL) {
        struct offer_reply *next = offer->next;
        offer_reply_free(offer);
        offer = next;
    }
    close(c->fd);
    pthread_mutex_destroy(&c->lock);
    free(c);
    *completions = NULL;
}

int completions_fd(const struct completions *completions)
{
    return completions->fd;
}

static void ring(struct completions *c)
{
    uint64_t one = 1;
    /* Full means that the loop has not looked yet: it will. */
    while (write(c->fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void completions_post_job(struct completions *completions, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&completions->lock);
    *completions->last_job = job;
    completions->last_job = &job->next;
    pthread_mutex_unlock(&completions->lock);
    ring(completions);
}

void completions_post_offer(struct completions *completions, struct offer_reply *offer)
{
    offer->next = NULL;
    pthread_mutex_lock(&completions->lock);
    *completions->last_offer = offer;
    completions->last_offer = &offer->next;
    pthread_mutex_unlock(&completions->lock);
    ring(completions);
}

void completions_take(struct completions *completions, struct job **jobs_out,
                      struct offer_reply **offers_out)
{
    uint64_t count;
    while (read(completions->fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
    pthread_mutex_lock(&completions->lock);
    *jobs_out = completions->first_job;
    *offers_out = completions->first_offer;
    completions->first_job = NULL;
    completions->last_job = &completions->first_job;
    completions->first_offer = NULL;
    completions->last_offer = &completions->first_offer;
    pthread_mutex_unlock(&completions->lock);
}

struct offer_reply *offer_reply_make(uint32_t segment_count)
{
    struct offer_reply *offer = calloc(1, sizeof *offer);
    if (offer == NULL) {
        return NULL;
    }
    offer->segment_count = segment_count;
    offer->regions = calloc(segment_count + 1, sizeof *offer->regions);
    offer->descriptors = calloc(segment_count + 1, sizeof *offer->descriptors);
    if (offer->regions == NULL || offer->descriptors == NULL) {
        offer_reply_free(offer);
        return NULL;
    }
    return offer;
}

void offer_reply_free(struct offer_reply *offer)
{
    if (offer == NULL) {
        return;
    }
    free(offer->regions);
    free(offer->descriptors);
    free(offer);
}
