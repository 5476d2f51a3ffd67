/* SPDX-License-Identifier: Apache-2.0 */
/* The seam of the data plane: one verb, read. The node that wants bytes pulls them; no memory of
 * any node can be written by another.
 *
 * OBJECTS
 *   transport   one instance of a backend. Opened once at start, never across a fork.
 *   region      memory of this process, registered. It may be the target of local reads, and, once
 *               exported, the source of other nodes' reads. Registration is dear (pinning, page
 *               tables of every NIC): register segments once at start and keep them.
 *   descriptor  the bytes that name an exported region to a reader, with all it needs to read it
 *               (ranges, generation, the keys of every rail). Plain bytes: they travel in a control
 *               message.
 *   endpoint    the way from this transport to one peer's transport, over all its rails.
 *   read        one asynchronous pull of a contiguous range of an exported region of the peer into
 *               a contiguous range of a local region.
 *
 * THREADS
 *   One thread at a time owns a transport and makes all calls on it, its regions and its endpoints.
 *   transport_wake() alone may be called by any thread. No call sleeps, except where it says so.
 *   Sources serve their peers inside transport_progress() too, so every process that exports must
 *   keep calling it (or sleep on event_fd); how little that costs depends on
 *   capabilities.one_sided.
 *
 * THE LOOP
 *       struct pollfd waiter = {.fd = transport_event_fd(t), .events = POLLIN};
 *       for (;;) {
 *           size_t count = transport_progress(t, done, DONE_MAX);
 *           for (size_t i = 0; i < count; i++) handle(&done[i]);      -- may issue more reads
 *           if (count == 0 && transport_arm(t)) poll(&waiter, 1, -1);
 *       }
 *   transport_arm() returns false when there is something to do at once, or so soon that sleeping
 *   would cost more than looking again (options.spin_us); when it returns true, event_fd becomes
 *   readable at the next event, deadlines of reads and transport_wake() included, even if that
 *   event came before the poll. Any other call on the transport after a successful arm voids it:
 *   progress and arm again.
 *
 * WHAT A COMPLETION MEANS
 *   Each accepted read gives exactly one TRANSPORT_READ completion, whatever happens.
 *   CKPT_OK    all bytes are in local memory and visible to the CPU, and at the moment the peer's
 *              memory was read, or after it, the descriptor's generation was still the current one.
 *              Nobody will write to that range any more.
 *   an error   the range holds unspecified bytes, and nobody will write to it any more. A backend
 *              that cannot promise this yet (a forced close still in progress) withholds the
 *              completion until it can.
 *   The transport proves nothing about the bytes themselves: digest them.
 *
 * TRUST
 *   Descriptors and addresses are input: lengths, ranges, versions and a checksum are verified, and
 *   damage gives CKPT_ERR_PROTOCOL. They must come by an authenticated channel all the same: what a
 *   backend's own library does with a forged but well-formed key is that library's matter
 *   (docs/transport.md). */
#ifndef CKPT_TRANSPORT_TRANSPORT_H
#define CKPT_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

#include "base/limits.h"

struct transport_ops;

/* What a backend is good at; constant once the transport is open. */
struct transport_capabilities {
    uint64_t read_bytes_max; /* the largest read it takes */
    uint64_t slice_bytes;    /* the size of read at which it is fastest */
    uint32_t depth;          /* reads in flight, over all endpoints, at which it is fastest */
    uint32_t in_flight_max;  /* reads in flight that it takes; one more is CKPT_ERR_FULL */
    bool one_sided;          /* the source's CPU takes no part in a read */
    bool pins_memory;        /* regions count against RLIMIT_MEMLOCK */
};

/* Zeroed options are the defaults. */
struct transport_options {
    uint32_t timeout_ms;    /* an endpoint with reads in flight that is silent for so long fails;
                               default 5000 */
    uint32_t in_flight_max; /* default 256; its bookkeeping is allocated when opened */
    const char *devices;    /* comma list of network devices ("lo", "mlx5_0:1"); NULL: all that fit.
                               Read only during the open. */
    bool lenient;           /* listed devices that cannot be used are left out, with a warning;
                               an error only when none is left */
    uint16_t port;          /* to listen at, where the backend listens; default: any free one */
    uint64_t memory_bytes;  /* that will be registered, and in pieces of at most */
    uint64_t region_bytes;  /*   so much; 0: not known. Looked at by backends that pin memory */
    uint8_t traffic_class;  /* of RDMA packets: DSCP * 4 + ECN; 0: the device's own */
    uint8_t service_level;  /* 0 to 15: the priority (PCP) of RoCE packets with a VLAN tag */
    uint32_t spin_us;       /* an owner of reads in flight need not sleep for so long after the
                               last of them completed; default 100. See transport_arm() */
    uint64_t seed;          /* of a fault transport */
};

/* Embedded first in each backend's object. Callers read the capabilities and nothing else. */
struct transport {
    const struct transport_ops *ops;
    struct transport_capabilities capabilities;
    const char *backend; /* the name in a spec */
    int event_fd; /* an epoll of the wake eventfd, a deadline timerfd and the backend's own */
    int wake_fd;
    int timer_fd;
    bool armed;
};

/* Embedded first in each backend's region. Callers may read it. */
struct transport_region {
    struct transport *transport;
    uint8_t *address;
    uint64_t bytes;
    uint64_t *generation;     /* the present one, where the backend lets readers look at it */
    uint32_t reads_in_flight; /* local reads into it that have not completed */
    bool read_only;
};

/* Embedded first in each backend's endpoint. */
struct transport_endpoint {
    struct transport *transport;
    struct transport_endpoint *next; /* in the backend's list */
    uint64_t cookie;
    uint64_t heard_ns; /* when a sign of life came last, while reads are in flight */
    uint32_t reads_in_flight;
    bool disconnecting; /* disconnect was asked for */
    bool gone;          /* and nothing of it is left but its completion */
};

/* Memory to register. Zero the fields that do not matter. */
struct transport_memory {
    void *address;  /* mapped, and faulted in if the cost matters; NULL only with a dma-buf */
    uint64_t bytes; /* above 0 */
    bool dmabuf;    /* the memory is that of a dma-buf descriptor (GPU memory): */
    int dmabuf_fd;  /*   borrowed for the call */
    uint64_t dmabuf_offset;
    uint64_t generation; /* of descriptors exported from now on; see transport_revoke() */
    bool read_only;      /* never a local target; only exported */
    const char *near;    /* list as options.devices of the devices that are near it, to be preferred
                            while they work; NULL: all. Read only during the call */
};

struct transport_read_request {
    struct transport_endpoint *endpoint;
    const uint8_t *descriptor; /* read during the call only */
    size_t descriptor_bytes;
    uint64_t remote_offset; /* within the exported region */
    struct transport_region *local;
    uint64_t local_offset;
    uint64_t bytes; /* 0 is allowed: only the descriptor is checked */
    uint64_t cookie;
};

enum transport_completion_kind {
    TRANSPORT_READ,        /* a read ended; cookie is the read's */
    TRANSPORT_DISCONNECTED /* an endpoint is gone; cookie is the endpoint's. Last of its
                              completions. */
};

struct transport_completion {
    uint64_t cookie;
    enum transport_completion_kind kind;
    enum ckpt_status status;
};

typedef void transport_sink(void *context, const struct transport_completion *completion);

/* How many rails a transport has, and by how many of them peers can be reached. */
struct transport_rails {
    uint32_t total, up;
};

/* The table. A backend implements these eleven; callers use the functions below, which check
 * arguments first. */
struct transport_ops {
    void (*close)(struct transport *t, transport_sink *sink, void *context);
    enum ckpt_status (*register_memory)(struct transport *t, const struct transport_memory *memory,
                                        struct transport_region **region_out);
    enum ckpt_status (*deregister)(struct transport_region *region);
    enum ckpt_status (*export_region)(struct transport_region *region,
                                      uint8_t descriptor_out[CKPT_DESCRIPTOR_MAX],
                                      size_t *bytes_out);
    enum ckpt_status (*address)(struct transport *t, uint8_t address_out[CKPT_WORKER_ADDRESS_MAX],
                                size_t *bytes_out);
    enum ckpt_status (*connect)(struct transport *t, const uint8_t *address, size_t address_bytes,
                                struct transport_endpoint **endpoint_out);
    void (*disconnect)(struct transport_endpoint *endpoint);
    enum ckpt_status (*read)(const struct transport_read_request *request);
    size_t (*progress)(struct transport *t, struct transport_completion *done, size_t done_max);
    bool (*arm)(struct transport *t);
    struct transport_rails (*rails)(const struct transport *t); /* NULL: it has none to tell of */
};

/* Opens a transport. spec is one of
 *     loop                           within this process, for tests
 *     ucx, ucx:tcp, ucx:shm, ucx:rc  UCX: any transport it finds, TCP only, shared memory only,
 *                                    RDMA only
 *     verbs, verbs:mlx5_0+mlx5_1:2   RDMA over all usable ports, or over these devices (port 1 if
 *                                    none is named); where the build found libibverbs
 *     fault:KEY=VALUE,...:SPEC       injects faults into SPEC; keys: error, corrupt, cut, delay
 *                                    (probabilities 0..1), delay_ms, cut_after (reads of an
 *                                    endpoint)
 *
 * options may be NULL. May block for as long as the backend's library probes devices.
 *
 * RETURN VALUE
 *   CKPT_OK              *transport_out is set; close it with transport_close().
 *   CKPT_ERR_CONFIG      the spec is not understood, or names a device that is not there;
 *                        transport_open_error() says what and which names exist.
 *   CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM   no memory, or descriptors, or the library failed. */
enum ckpt_status transport_open(const char *spec, const struct transport_options *options,
                                struct transport **transport_out);

/* Whether the spec's first word names a transport, as far as that is known without opening it: an
 * unknown one is CKPT_ERR_CONFIG, with transport_open()'s words in transport_open_error(). */
enum ckpt_status transport_spec_check(const char *spec);

/* One line for a person about the last failed transport_open() of this thread; "" if there was
 * none. */
const char *transport_open_error(void);

/* The version of the UCX library that runs, which need not be the one of the build: "1.18.1". */
const char *transport_ucx_version(void);

/* Ends everything and frees the transport with all its regions and endpoints. Reads in flight and
 * completions not yet taken are given to sink (which may be NULL, and must not call the transport)
 * before it returns; disconnections are not reported. Afterwards nothing writes to, or serves from,
 * any memory that was registered. Blocks for at most two seconds. t may be NULL. */
void transport_close(struct transport *t, transport_sink *sink, void *context);

/* Registers memory, which must stay mapped until it is deregistered. May block: about 0.1 s for
 * each GiB.
 *
 * RETURN VALUE
 *   CKPT_ERR_INVALID      bytes is 0, or the range wraps.
 *   CKPT_ERR_UNSUPPORTED  a dma-buf, and the backend or one of its devices takes none.
 *   CKPT_ERR_MEMORY       the library or the kernel refused, RLIMIT_MEMLOCK included. */
enum ckpt_status transport_register(struct transport *t, const struct transport_memory *memory,
                                    struct transport_region **region_out);

/* Takes a region out of service and frees it. Afterwards the transport reads nothing from it:
 * peers' reads of it fail with CKPT_ERR_STALE or CKPT_ERR_LINK. Blocks for at most two seconds
 * while reads that are being served end; those that do not are cut.
 *
 * RETURN VALUE
 *   CKPT_ERR_INVALID   local reads into it are in flight: wait for their completions, or
 *                      disconnect. */
enum ckpt_status transport_deregister(struct transport_region *region);

/* Writes the bytes a reader needs, at most CKPT_DESCRIPTOR_MAX. They hold for the region's present
 * generation.
 *
 * RETURN VALUE
 *   CKPT_ERR_TOO_LARGE   the backend's keys do not fit (more rails than a descriptor holds). */
enum ckpt_status transport_export(struct transport_region *region,
                                  uint8_t descriptor_out[CKPT_DESCRIPTOR_MAX], size_t *bytes_out);

/* Makes every descriptor exported so far stale, without the cost of registering anew: from now on
 * reads by them end in CKPT_ERR_STALE. A read served at this moment may still end well, with bytes
 * of before. generation must be above the present one. The owner revokes before it changes or frees
 * the bytes. Never blocks.
 *
 * RETURN VALUE
 *   CKPT_ERR_INVALID   generation does not rise. */
enum ckpt_status transport_revoke(struct transport_region *region, uint64_t generation);

/* Writes this transport's own address, which does not change while it is open. */
enum ckpt_status transport_address(struct transport *t,
                                   uint8_t address_out[CKPT_WORKER_ADDRESS_MAX], size_t *bytes_out);

/* Nothing of nothing where the backend has no rails of its own. */
struct transport_rails transport_rails(const struct transport *t);

/* Makes an endpoint to the transport of that address. It does not wait: reads may be issued at
 * once, and if the peer is not there they fail within timeout_ms. A failed endpoint never recovers;
 * disconnect it and connect again.
 *
 * RETURN VALUE
 *   CKPT_ERR_PROTOCOL   the bytes are not an address of this backend.
 *   CKPT_ERR_VERSION    an address of another version of the backend.
 *   CKPT_ERR_LINK       this address cannot be reached by any device. */
enum ckpt_status transport_connect(struct transport *t, const uint8_t *address,
                                   size_t address_bytes, uint64_t cookie,
                                   struct transport_endpoint **endpoint_out);

/* Begins the end of an endpoint: it takes no more reads, those in flight end in CKPT_ERR_LINK (or
 * with what they had reached), and then one TRANSPORT_DISCONNECTED
 * completion frees the endpoint. */
void transport_disconnect(struct transport_endpoint *endpoint);

/* Issues a read. When it returns CKPT_OK, one completion will follow; otherwise none.
 *
 * RETURN VALUE
 *   CKPT_ERR_INVALID   the local range is outside the local region, or that is read_only, or the
 *                      endpoint is disconnecting.
 *   CKPT_ERR_PROTOCOL  the descriptor is damaged, or of another backend.
 *   CKPT_ERR_SIZE      the remote range is outside the exported region.
 *   CKPT_ERR_TOO_LARGE bytes is above capabilities.read_bytes_max.
 *   CKPT_ERR_FULL      capabilities.in_flight_max reads are in flight.
 *   CKPT_ERR_LINK      the endpoint has failed.
 *
 * COMPLETIONS
 *   CKPT_OK            see above.
 *   CKPT_ERR_STALE     the region was deregistered or revoked: ask the peer for a new descriptor.
 *   CKPT_ERR_SIZE      the peer found the range outside its region.
 *   CKPT_ERR_LINK      the endpoint failed or was disconnected.
 *   CKPT_ERR_TIMEOUT   the peer was silent for timeout_ms; the endpoint has failed.
 *   CKPT_ERR_PROTOCOL  the peer answered nonsense.
 *   CKPT_ERR_MEMORY    the backend's library had none.
 *   CKPT_ERR_INTERNAL  the device refused the request itself; the log has its words. */
enum ckpt_status transport_read(const struct transport_read_request *request);

/* Moves everything on, serves peers, and takes up to done_max completions. done_max must be above
 * 0. */
size_t transport_progress(struct transport *t, struct transport_completion *done, size_t done_max);

/* See THE LOOP. */
bool transport_arm(struct transport *t);
int transport_event_fd(const struct transport *t);

/* Makes event_fd readable, so that a sleeping owner runs.
 * From any thread and from signal handlers. */
void transport_wake(struct transport *t);

#endif
