/* SPDX-License-Identifier: Apache-2.0 */
/* What every backend shares: the base object, the clock, and the table of reads in flight. For
 * backends only. */
#ifndef CKPT_TRANSPORT_BACKEND_H
#define CKPT_TRANSPORT_BACKEND_H

#include "transport/transport.h"

#define TRANSPORT_TIMEOUT_MS_DEFAULT 5000
#define TRANSPORT_IN_FLIGHT_DEFAULT 256
#define TRANSPORT_IN_FLIGHT_MAX 65536

/* A backend's opener. arguments is what follows "name:" in the spec, or NULL. */
typedef enum ckpt_status transport_opener(const char *arguments,
                                          const struct transport_options *options,
                                          struct transport **transport_out);
transport_opener transport_loop_open, transport_fault_open, transport_ucx_open;
transport_opener transport_verbs_open; /* where the build found libibverbs and librdmacm */

/* Records the line that transport_open_error() returns. */
void transport_set_open_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes the three descriptors and sets the base fields. CKPT_ERR_SYSTEM when there are no
 * descriptors left. */
enum ckpt_status transport_base_open(struct transport *t, const struct transport_ops *ops,
                                     const char *backend);
void transport_base_close(struct transport *t);

/* Adds a descriptor to event_fd. */
enum ckpt_status transport_base_watch(struct transport *t, int fd);

/* To be called first in progress: takes back the wake-up and
 * the timer of the last successful arm. */
void transport_base_disarm(struct transport *t);

/* To be called last in a successful arm; deadline_ns of clock_now_ns(), or UINT64_MAX: none. */
void transport_base_set_armed(struct transport *t, uint64_t deadline_ns);

/* 64 bits from the kernel, never 0: the identity of a transport object. */
uint64_t transport_random_id(void);

/* A read in flight. A backend embeds it first in its own record. */
struct read_slot {
    struct read_slot *previous, *next;
    struct transport_endpoint *endpoint;
    struct transport_region *local;
    uint64_t cookie;
    uint32_t index;
    enum ckpt_status status;
};

struct read_list {
    struct read_slot *first, *last;
};

/* Every read is in one of three lists: idle, in flight (oldest first), done (finished and not yet
 * taken). All memory is allocated by reads_open(). */
struct read_table {
    uint8_t *records;
    size_t record_bytes;
    uint32_t count;
    uint64_t timeout_ns;
    uint64_t looked_ns; /* when silence was last looked for */
    struct read_list idle, in_flight, done;
    struct transport_endpoint *endpoints;
    uint32_t gone; /* endpoints to report as disconnected */
};

/* record_bytes is the size of the backend's record. */
enum ckpt_status reads_open(struct read_table *reads, const struct transport_options *options,
                            size_t record_bytes);
void reads_close(struct read_table *reads);

/* Takes a free record into flight, or NULL. */
struct read_slot *reads_begin(struct read_table *reads,
                              const struct transport_read_request *request);

/* Takes a read back that could not be issued: it gives no completion. */
void reads_abandon(struct read_table *reads, struct read_slot *slot);

/* Ends a read in flight: its completion is ready to be taken. */
void reads_finish(struct read_table *reads, struct read_slot *slot, enum ckpt_status status);

/* Ends all reads in flight of an endpoint (NULL: of all). */
void reads_fail(struct read_table *reads, const struct transport_endpoint *endpoint,
                enum ckpt_status status);

/* Enters a new endpoint, so that reads_take() or reads_drain() can release it. */
void reads_add_endpoint(struct read_table *reads, struct transport_endpoint *endpoint);

/* Queues the last completion of an endpoint that has no read in flight. */
void reads_report_gone(struct read_table *reads, struct transport_endpoint *endpoint);

/* Takes completions; an endpoint whose disconnection is taken is given to release. */
size_t reads_take(struct read_table *reads, struct transport_completion *done, size_t done_max,
                  void (*release)(struct transport_endpoint *endpoint));

/* Whether a completion is ready. */
bool reads_ready(const struct read_table *reads);

/* When the first endpoint with reads in flight will have been silent for too long; UINT64_MAX if
 * none has any. */
uint64_t reads_deadline_ns(const struct read_table *reads);

/* An endpoint that is past that, or NULL. Called much later than that, as by a process that was
 * stopped, it counts nobody's silence so far. */
struct transport_endpoint *reads_silent_endpoint(struct read_table *reads, uint64_t now_ns);

/* Fails all reads in flight with CKPT_ERR_LINK, gives every read to the sink, releases every
 * endpoint. For close. */
void reads_drain(struct read_table *reads, transport_sink *sink, void *context,
                 void (*release)(struct transport_endpoint *endpoint));

#endif
