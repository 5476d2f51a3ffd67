/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's machine: what one node holds, what it pulls, what it tells. Event in, update out.
 *
 * Pure, like the coordinator's (coordinator/coordinator.h). The daemon around it (src/ckptd) owns
 * the arena, the sockets, the transport and the digest threads; the machine names slots, segments
 * and pulls by number. docs/protocol.md tells each exchange; here are the rules the machine keeps:
 *
 *  - A slot passes FREE -> FILLING -> SEALED -> VERIFIED, or FREE -> PULLING -> VERIFIED, or (after
 *    a restart) ADOPTED -> VERIFIED; from anywhere to DIRTY, and from DIRTY to FREE. Its generation
 *    rises each time it leaves FREE, drawn from one counter of the whole arena, so that of two
 *    reports about one shard the higher generation is the later. The slot record is stored before
 *    anything is said about it.
 *  - COPY_VERIFIED is reported only from a digest that this incarnation computed over this memory,
 *    under the key of its run that the coordinator told last; with another key since then it goes
 *    back to ADOPTED.
 *  - A slot is not freed while a peer reads it, while the transport writes it, while a digest runs
 *    over it or while a rank maps a restored shard from it: it is marked doomed and freed after.
 *  - Segments pass to another user only renewed: a new file, so that no descriptor or mapping that
 *    the earlier user kept reaches it.
 *  - The coordinator's messages are taken only from one that has said WELCOME for this agent's
 *    cluster, and only from the highest epoch seen. What is below the last sequence of its sender
 *    is dropped before it comes here; what comes twice changes nothing. */
#ifndef CKPT_AGENT_H
#define CKPT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/slot_record.h"
#include "base/room.h"
#include "digest/key.h"
#include "wire/message.h"
#include "wire/note.h"

struct agent;

struct agent_config {
    char node[CKPT_NODE_NAME_MAX + 1];
    char domain[CKPT_DOMAIN_NAME_MAX + 1];
    char address[CKPT_ADDRESS_MAX + 1]; /* of its control port, as told to the coordinator */
    uint64_t segment_bytes;
    uint64_t chunk_bytes;     /* what digests are folded from and reads are made of */
    uint32_t locked;          /* enum arena_locked */
    uint32_t closed;          /* enum agent_closed: it takes no saves, and nobody's copies */
    bool has_tier;            /* it can take shards to the tier */
    uint32_t segments;        /* <= CKPT_ARENA_SEGMENTS_MAX */
    uint64_t page_bytes;      /* the least that a shard takes, where there are parts */
    uint32_t parts;           /* of segments, for small shards: base/room.h; 0: segments alone */
    uint32_t slots;           /* <= CKPT_ARENA_SEGMENTS_MAX */
    uint32_t ranks_max;       /* processes of one user; a third as many are there for others, and a
                               * few for root and the agent's own user */
    uint32_t pulls_max;       /* under way at once; further orders wait */
    uint32_t copies_default;  /* for a run that asks for 0 */
    uint32_t own_uid;         /* of the agent; it and root may speak of any user's jobs */
    uint32_t heartbeat_ms;    /* until MESSAGE_WELCOME says otherwise */
    uint32_t resend_ms;       /* a report or ask without an answer for so long goes out again */
    uint32_t offer_pin_ms;    /* a peer's read may pin a slot for so long without a word */
    uint32_t pull_timeout_ms; /* a source that is silent for so long fails the pull */
    uint32_t load_timeout_ms; /* a load without a verdict for so long fails, or earlier where its
                               * process waits less */
    uint32_t scrub_ms;        /* each held copy is proven again within it; 0: it is not */
    uint32_t room_wait_ms;    /* a save that finds no room waits so long for what others may give */
    struct digest_secret device_secret; /* random, of this life alone: saves' device keys are made
                                         * of it */
};

/* What a node starts with; its names are empty. */
void agent_config_default(struct agent_config *config_out);
/* How many processes may be connected at once, of all users. */
uint32_t agent_seats(const struct agent_config *config);

/* Bytes of memory that agent_init needs; 0 when a value is out of range, with one line about it in
 * reason (CKPT_REASON_MAX + 1 bytes). */
size_t agent_memory_bytes(const struct agent_config *config, char *reason);

/* Makes an agent in memory: aligned to 64, zeroed by the caller, kept by the caller, at least
 * agent_memory_bytes(). The seed only keeps the numbers of pulls and readers of two lives apart.
 *
 * ERRORS
 *  - CKPT_ERR_CONFIG: as agent_memory_bytes().
 *  - CKPT_ERR_MEMORY: bytes are too few, or memory is not aligned.
 *  - CKPT_ERR_INVALID: the incarnation is zero. */
enum ckpt_status agent_init(void *memory, size_t bytes, const struct agent_config *config,
                            struct incarnation incarnation, uint64_t seed,
                            struct agent **agent_out);

enum agent_event_type {
    AGENT_TICK = 1,
    AGENT_ADOPT,     /* at start: one slot record found in the arena (record), each slot once;
                      * corrupt: only slot and generation hold (at least the highest that was
                      * ever stored), the slot's content is refused */
    AGENT_ADOPT_END, /* also when nothing was found; no other event comes before it but AGENT_ADOPT
                      * and AGENT_TICK */
    AGENT_COORDINATOR_UP, /* connected: the machine joins; `address` is by which others reach this
                           * agent, NULL for what is configured */
    AGENT_COORDINATOR_DOWN,
    AGENT_COORDINATOR_MESSAGE,
    AGENT_PEER_MESSAGE, /* from the peer on connection `link` */
    AGENT_PEER_LOOKUP,  /* connection `link`, made for this machine, has to wait for the resolver,
                         * who is not the peer: what is asked there is not silence yet */
    AGENT_PEER_UP,      /* and now it is made; said after AGENT_PEER_LOOKUP only */
    AGENT_PEER_DOWN,    /* connection `link` closed, or could not be made */
    AGENT_RANK_UP,      /* a process connected: `link`, `uid` from the kernel's credentials */
    AGENT_RANK_MESSAGE,
    AGENT_RANK_DOWN,
    AGENT_WORK_DONE, /* `work` of an earlier update ended with `status` (and `digest`) */
    AGENT_STOP,      /* the process ends, in order: the coordinator is told. The last event */
};

struct agent_event {
    enum agent_event_type type;
    uint64_t now_ms;
    uint64_t late_ms; /* as a coordinator_event's */
    uint32_t rails;   /* of the transport, and those that are up; both 0: it has none to tell of */
    uint32_t rails_up;
    uint32_t link; /* peer or rank connection; never reused in one life; the daemon's own numbers
                    * are below AGENT_LINK_MADE_HERE */
    uint32_t uid;
    const char *address; /* of at most CKPT_ADDRESS_MAX characters */
    const struct message *message;
    const struct slot_record *record;
    bool corrupt;
    uint64_t epoch;       /* AGENT_ADOPT_END: the highest that the agents of this memory obeyed */
    struct nonce cluster; /* AGENT_ADOPT_END: that this memory is of; zero: of none yet */
    uint64_t work;
    enum ckpt_status status;
    struct digest digest;
    struct digest device_digest; /* AGENT_WORK_DONE: the second one, where it was wanted */
    uint64_t bytes;              /* of a shard that is in the tier: that it takes there */
    const char *reason; /* of a work for the tier that failed; NULL: none, as of the others */
};

/* Peer connections that the machine has asked for carry this bit in their number. */
#define AGENT_LINK_MADE_HERE UINT32_C(0x80000000)

/* DIGEST, READ, GATHER, RENEW, PERSIST and MANIFEST end with AGENT_WORK_DONE, always, also after a
 * cancel. The others have number 0 and never report: a connection that cannot be made is
 * AGENT_PEER_DOWN. */
enum agent_work_type {
    AGENT_WORK_DIGEST =
        1,             /* digest the slot's bytes; ends with the digest. Of a part of its chunks:
                            * these alone, and the others' values as they were kept when all were
                            * digested under this key; CKPT_ERR_NOT_FOUND: none were kept */
    AGENT_WORK_READ,   /* read the offered bytes into the slot, digesting as they land; ends with
                        * the digest. The offer is the message of this event. Of a part of the
                        * shard: the slot has these chunks alone, and the digest is the whole
                        * shard's, by them and the offer's values of the others */
    AGENT_WORK_GATHER, /* read the rank's memory into the slot: its descriptor came with the message
                        * of this event, which names the ranges */
    AGENT_WORK_CANCEL, /* of the read, gather or scrub `cancels`: it ends soon with some status,
                        * CKPT_ERR_ABORTED where it did not end by itself; never waited for */
    AGENT_WORK_RENEW,  /* give the slot's segments new, zeroed files, or its part: made where it
                        * is not there yet, in place of whatever parts lie there, as a segment is
                        * made whole; ends when they are registered */
    AGENT_WORK_PEER_CONNECT, /* make connection `link` to `address`; messages to it may follow at
                              * once */
    AGENT_WORK_PEER_CLOSE,
    AGENT_WORK_PERSIST,  /* write the slot's bytes to the tier, as `persist` says: durable when it
                          * ends well, and under their name only when they have the digest that it
                          * names. Ends with their BLAKE3 as digest. What is there already is not
                          * written again, and ends well */
    AGENT_WORK_MANIFEST, /* say in the tier that the checkpoint of `manifest` is whole: durable, and
                          * only when its shards there are those that the root is over */
};

struct agent_work {
    enum agent_work_type type;
    uint64_t work; /* its number, for AGENT_WORK_DONE */
    uint32_t slot;
    uint64_t generation;
    uint64_t bytes;
    uint64_t cancels;
    uint64_t chunk_first; /* the shard's: the first that is digested, or read */
    uint64_t chunk_count; /* AGENT_WORK_DIGEST: that are digested; 0: all of the slot's */
    uint64_t shard_bytes; /* AGENT_WORK_READ: of the whole, where a part is read; else 0 */
    bool scrubs;          /* AGENT_WORK_DIGEST: it stands back for all other work */
    uint64_t patience_ms; /* and for so long */
    uint32_t link; /* AGENT_WORK_READ: the source's connection; AGENT_WORK_GATHER: the rank's */
    struct digest_key key;        /* AGENT_WORK_DIGEST, AGENT_WORK_READ: that the digest is under */
    struct digest_key device_key; /* AGENT_WORK_DIGEST: of a second digest of the same bytes; of an
                                   * unknown kind: none is wanted */
    const struct message_persist_order *persist;   /* AGENT_WORK_PERSIST; this and the next live
                                                    * until the next agent_advance */
    const struct message_manifest_order *manifest; /* AGENT_WORK_MANIFEST */
    char address[CKPT_ADDRESS_MAX + 1];
};

enum agent_target { AGENT_TO_COORDINATOR = 1, AGENT_TO_PEER, AGENT_TO_RANK };

/* Descriptors of slot's segments ride along with the message. */
enum agent_attach {
    ATTACH_NONE = 0,
    ATTACH_WRITABLE,
    ATTACH_READ_ONLY,
    ATTACH_REGIONS,
    ATTACH_PREPARED, /* those that the message names, writable: of no slot */
};

struct agent_outgoing {
    enum agent_target target;
    uint32_t link;
    enum agent_attach attach; /* ATTACH_REGIONS: fill the offer's worker address and regions */
    uint32_t attach_slot;
    uint64_t values_key; /* ATTACH_REGIONS: the slot's chunk values go with the offer, where they
                          * were kept under the key of this id; 0: none do */
    bool close; /* close the connection after sending (with MESSAGE_NONE: at once); the DOWN event
                 * follows as ever. To the coordinator: it has been silent for its own lease */
    struct message message; /* incarnation and sequence are the daemon's to fill; what it points to
                             * lives until the next agent_advance */
};

#define AGENT_RECORDS_MAX 8
#define AGENT_WORKS_MAX 16
#define AGENT_MESSAGES_MAX 32
#define AGENT_NOTES_MAX 16

struct agent_update {
    uint32_t record_count;
    struct slot_record records[AGENT_RECORDS_MAX];
    uint32_t work_count;
    struct agent_work works[AGENT_WORKS_MAX];
    uint32_t message_count;
    struct agent_outgoing messages[AGENT_MESSAGES_MAX];
    uint32_t note_count;
    uint32_t notes_lost;
    struct machine_note notes[AGENT_NOTES_MAX];
    uint64_t deadline_ms;
    bool again;
};

/* Reads *event, changes *a, fills *update_out with what the daemon must now do, in this order:
 *  1. store update->records,
 *  2. start update->works,
 *  3. send update->messages,
 *  4. log the notes,
 *  5. arm update->deadline_ms (UINT64_MAX: none).
 * Same promises as coordinator_advance(). Of *update_out only the counts, the entries below them,
 * and the last three fields are written.
 *
 * ERRORS: those of coordinator_advance();
 *  - CKPT_ERR_INVALID: also for events out of the order that enum agent_event_type states, a record
 *    of a slot that does not exist, and a NULL message or record. */
enum ckpt_status agent_advance(struct agent *a, const struct agent_event *event,
                               struct agent_update *update_out);

/* Read-only views, for the daemon (which segments are a slot's) and the simulator's judges. */
struct agent_slot_view {
    enum slot_state state;
    uint64_t generation;
    struct shard_key shard;
    uint64_t bytes;
    bool owner;
    bool cached;
    bool doomed;
    bool has_digest;
    struct digest digest;
    uint64_t digest_key; /* id of the key that it is under */
    uint32_t pins;       /* offers to peers and loans to ranks */
    uint32_t segment_count;
    const uint16_t *segments;
    struct room_part part; /* as in its record */
};
/* False: there is no such slot. */
bool agent_slot_view(const struct agent *a, uint32_t slot, struct agent_slot_view *view_out);
/* Segments that are nobody's whole, and have no part in use. */
uint32_t agent_segments_free(const struct agent *a);
/* Whether anybody would miss it: it holds something, serves a process, or knows a job that runs. */
bool agent_is_needed(const struct agent *a);
/* The highest that was obeyed. */
uint64_t agent_epoch(const struct agent *a);
/* CKPT_OK: joined. CKPT_ERR_NO_COORDINATOR: not yet, or no longer. Else: as the coordinator refused
 * this node. */
enum ckpt_status agent_join_status(const struct agent *a);
/* The one that the agent belongs to; zero before it has joined one. Kept with the memory, before
 * anything is done on that cluster's word. */
struct nonce agent_cluster(const struct agent *a);

#endif
