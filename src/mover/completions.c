/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/completions.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct completions {
    pthread_mutex_t lock;
    int fd;
    struct work *first_work;
    struct work **last_work;
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
    c->last_work = &c->first_work;
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
    struct work *work;
    struct offer_reply *offer;
    completions_take(c, &work, &offer);
    while (work != NULL) {
        struct work *next = work->next;
        work_free(work);
        work = next;
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

void completions_post_work(void *context, struct work *work)
{
    struct completions *completions = context;
    work->next = NULL;
    pthread_mutex_lock(&completions->lock);
    *completions->last_work = work;
    completions->last_work = &work->next;
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

void completions_take(struct completions *completions, struct work **works_out,
                      struct offer_reply **offers_out)
{
    uint64_t count;
    while (read(completions->fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
    pthread_mutex_lock(&completions->lock);
    *works_out = completions->first_work;
    *offers_out = completions->first_offer;
    completions->first_work = NULL;
    completions->last_work = &completions->first_work;
    completions->first_offer = NULL;
    completions->last_offer = &completions->first_offer;
    pthread_mutex_unlock(&completions->lock);
}
