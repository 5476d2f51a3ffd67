/* SPDX-License-Identifier: Apache-2.0 */
/* Host names, looked up beside the loop.
 *
 * getaddrinfo() asks whatever this machine asks (files, DNS, a directory service), and takes as
 * long as that takes. So each name is looked up on a thread of its own, RESOLVER_THREADS at most at
 * once, and whoever asks is called back on the loop. A name that is known is answered at once for
 * RESOLVER_KNOWN_MS; so somebody who gives up before his answer has come finds it when he asks
 * again. */
#ifndef CKPT_SESSION_RESOLVER_H
#define CKPT_SESSION_RESOLVER_H

#include "session/address.h"

#define RESOLVER_THREADS 8
#define RESOLVER_KNOWN_MS 30000

struct event_base;
struct resolver;
struct resolver_name;

/* Kept by who asks until he is called back or forgets. */
struct resolver_wait {
    struct resolver_wait *next;
    struct resolver_name *name; /* NULL: waits for nothing */

    /* CKPT_OK with an address, CKPT_ERR_NOT_FOUND (no such host) or CKPT_ERR_SYSTEM (no thread). */
    void (*known)(struct resolver_wait *wait, enum ckpt_status status,
                  const struct address *address, const char *reason);
};

/* CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM. */
enum ckpt_status resolver_make(struct event_base *base, struct resolver **resolver_out);

/* The address that text names (address_check must have taken it). CKPT_OK and *address_out at once
 * for a number, a path or a name that is known; CKPT_ERR_BUSY when wait->known will be called, from
 * the loop; CKPT_ERR_MEMORY. */
enum ckpt_status resolver_ask(struct resolver *resolver, const char *text,
                              struct resolver_wait *wait, struct address *address_out);

/* Is not called back any more; nothing for one that does not wait. */
void resolver_forget(struct resolver_wait *wait);

/* What is known of text's host is of no use: the next who asks has it looked up. */
void resolver_doubt(struct resolver *resolver, const char *text);

/* Nobody is called back any more. Does not wait for look-ups under way: they end by themselves. */
void resolver_free(struct resolver **resolver);

#endif
