/* SPDX-License-Identifier: Apache-2.0 */
#include "session/resolver.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault_point.h"

/* What a look-up's thread has: it may outlive the resolver. */
struct lookup {
    struct lookup *next; /* in done */
    struct mailbox *mailbox;
    char text[CKPT_ADDRESS_MAX + 1]; /* with the port of whoever asked first */
    enum ckpt_status status;
    struct address address;
    char reason[CKPT_REASON_MAX + 1];
};

/* Where threads leave what they found. */
struct mailbox {
    pthread_mutex_t lock;
    int fd;
    bool is_open; /* somebody reads it */
    uint32_t users;
    struct lookup *done;
};

/* One text, as who connects wrote it; the port is part of it. */
struct resolver_name {
    struct resolver_name *next;
    char text[CKPT_ADDRESS_MAX + 1];
    bool is_looked_up; /* by a thread, now */
    bool is_known;
    uint64_t known_ms;
    struct address address;
    struct resolver_wait *waiting;
};

struct resolver {
    struct mailbox *mailbox;
    struct event *done_event;
    struct resolver_name *names;
    uint32_t threads;
};

/* Gives up one use; the last one frees it. */
static void leave(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    bool is_last = --mailbox->users == 0;
    pthread_mutex_unlock(&mailbox->lock);
    if (!is_last) {
        return;
    }
    while (mailbox->done) {
        struct lookup *lookup = mailbox->done;
        mailbox->done = lookup->next;
        free(lookup);
    }
    close(mailbox->fd);
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
}

static void join(struct mailbox *mailbox, int users)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->users += (uint32_t)users;
    pthread_mutex_unlock(&mailbox->lock);
}

static void *look_up(void *context)
{
    struct lookup *lookup = context;
    struct mailbox *mailbox = lookup->mailbox;
    const uint64_t one = 1;
    FAULT_POINT(session_in_lookup);
    lookup->status = address_resolve(lookup->text, false, &lookup->address, lookup->reason);
    pthread_mutex_lock(&mailbox->lock);
    lookup->next = mailbox->done;
    mailbox->done = lookup;
    if (mailbox->is_open) {
        (void)!write(mailbox->fd, &one, sizeof(one)); /* a full counter wakes as well */
    }
    pthread_mutex_unlock(&mailbox->lock);
    leave(mailbox);
    return NULL;
}

static enum ckpt_status begin(struct resolver *resolver, struct resolver_name *name)
{
    pthread_t thread;
    pthread_attr_t detached;
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (!lookup) {
        return CKPT_ERR_MEMORY;
    }
    memcpy(lookup->text, name->text, sizeof(lookup->text));
    lookup->mailbox = resolver->mailbox;
    join(resolver->mailbox, 1);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &detached, look_up, lookup);
    pthread_attr_destroy(&detached);
    if (error != 0) {
        join(resolver->mailbox, -1); /* never the last: the resolver is one */
        free(lookup);
        return CKPT_ERR_SYSTEM;
    }
    name->is_looked_up = true;
    resolver->threads++;
    return CKPT_OK;
}

static struct resolver_name *find(struct resolver *resolver, const char *text)
{
    struct resolver_name *name = resolver->names;
    while (name && strcmp(name->text, text) != 0) {
        name = name->next;
    }
    return name;
}

/* Calls back all who wait for the name; they may ask again at once. */
static void answer(struct resolver_name *name, enum ckpt_status status,
                   const struct address *address, const char *reason)
{
    struct resolver_wait *waiting = name->waiting;
    name->waiting = NULL;
    for (struct resolver_wait *wait = waiting; wait; wait = wait->next) {
        wait->name = NULL;
    }
    while (waiting) {
        struct resolver_wait *next = waiting->next;
        waiting->next = NULL;
        waiting->known(waiting, status, address, reason);
        waiting = next;
    }
}

/* Threads for those who had to wait for one; names that nobody needs any more are dropped. */
static void tidy(struct resolver *resolver)
{
    uint64_t now = clock_now_ms();
    for (struct resolver_name **at = &resolver->names; *at;) {
        struct resolver_name *name = *at;
        if (name->is_known && now >= name->known_ms + RESOLVER_KNOWN_MS) {
            name->is_known = false;
        }
        if (!name->is_looked_up && name->waiting && resolver->threads < RESOLVER_THREADS) {
            enum ckpt_status status = begin(resolver, name);
            if (status != CKPT_OK) {
                answer(name, status, NULL, "no thread to look its name up");
            }
        }
        if (!name->is_looked_up && !name->is_known && !name->waiting) {
            *at = name->next;
            free(name);
        } else {
            at = &name->next;
        }
    }
}

static void take(struct resolver *resolver, const struct lookup *lookup)
{
    struct resolver_name *name = find(resolver, lookup->text);
    resolver->threads--;
    if (!name) {
        return;
    }
    name->is_looked_up = false;
    name->is_known = lookup->status == CKPT_OK;
    name->known_ms = clock_now_ms();
    name->address = lookup->address;
    answer(name, lookup->status, &lookup->address, lookup->reason);
}

static void on_done(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct resolver *resolver = context;
    uint64_t count;
    (void)!read(fd, &count, sizeof(count));
    pthread_mutex_lock(&resolver->mailbox->lock);
    struct lookup *done = resolver->mailbox->done;
    resolver->mailbox->done = NULL;
    pthread_mutex_unlock(&resolver->mailbox->lock);
    while (done) {
        struct lookup *next = done->next;
        take(resolver, done);
        free(done);
        done = next;
    }
    tidy(resolver);
}

enum ckpt_status resolver_make(struct event_base *base, struct resolver **resolver_out)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    struct mailbox *mailbox = calloc(1, sizeof(*mailbox));
    if (!resolver || !mailbox) {
        free(resolver);
        free(mailbox);
        return CKPT_ERR_MEMORY;
    }
    mailbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mailbox->fd < 0) {
        free(resolver);
        free(mailbox);
        return CKPT_ERR_SYSTEM;
    }
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->users = 1;
    mailbox->is_open = true;
    resolver->mailbox = mailbox;
    resolver->done_event = event_new(base, mailbox->fd, EV_READ | EV_PERSIST, on_done, resolver);
    if (!resolver->done_event || event_add(resolver->done_event, NULL) != 0) {
        resolver_free(&resolver);
        return CKPT_ERR_MEMORY;
    }
    *resolver_out = resolver;
    return CKPT_OK;
}

enum ckpt_status resolver_ask(struct resolver *resolver, const char *text,
                              struct resolver_wait *wait, struct address *address_out)
{
    if (address_is_path(text) || address_is_number(text)) {
        char reason[CKPT_REASON_MAX + 1];
        return address_resolve(text, false, address_out, reason);
    }
    tidy(resolver);
    struct resolver_name *name = find(resolver, text);
    if (name && name->is_known) {
        *address_out = name->address;
        return CKPT_OK;
    }
    if (!name) {
        name = calloc(1, sizeof(*name));
        if (!name) {
            return CKPT_ERR_MEMORY;
        }
        snprintf(name->text, sizeof(name->text), "%s", text);
        name->next = resolver->names;
        resolver->names = name;
    }
    if (!name->is_looked_up && resolver->threads < RESOLVER_THREADS) {
        enum ckpt_status status = begin(resolver, name);
        if (status != CKPT_OK) {
            return status;
        }
    }
    wait->name = name;
    wait->next = name->waiting;
    name->waiting = wait;
    return CKPT_ERR_BUSY;
}

void resolver_forget(struct resolver_wait *wait)
{
    if (!wait->name) {
        return;
    }
    struct resolver_wait **at = &wait->name->waiting;
    while (*at != wait) {
        at = &(*at)->next;
    }
    *at = wait->next;
    wait->name = NULL;
}

void resolver_doubt(struct resolver *resolver, const char *text)
{
    struct resolver_name *name = find(resolver, text);
    if (name) {
        name->is_known = false;
    }
}

void resolver_free(struct resolver **resolver)
{
    if (!*resolver) {
        return;
    }
    struct resolver *old = *resolver;
    *resolver = NULL;
    if (old->done_event) {
        event_free(old->done_event);
    }
    while (old->names) {
        struct resolver_name *name = old->names;
        old->names = name->next;
        while (name->waiting) {
            resolver_forget(name->waiting);
        }
        free(name);
    }
    pthread_mutex_lock(&old->mailbox->lock);
    old->mailbox->is_open = false;
    pthread_mutex_unlock(&old->mailbox->lock);
    leave(old->mailbox);
    free(old);
}
