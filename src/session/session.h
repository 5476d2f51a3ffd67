/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that carry messages, on libevent: what every daemon of ckptd listens and connects
 * with.
 *
 * A hub owns the sessions of one program: accepted and made ones, TCP and UNIX. It cuts the
 * streams into frames, decodes them, drops what is old (session/filter.h), fills in incarnation and
 * sequence of what is sent, and bounds everything that a peer can make it hold:
 *
 *  - sessions_max connections; more are closed as they are accepted;
 *  - receive_bytes_max of a frame; a longer one, or bytes that are no frame, end the session;
 *  - output_bytes_max queued for a peer that does not read: then its session ends; output_total_max
 *    for all peers: then that of the peer, or local user, for whom most is queued;
 *  - a session that is silent for idle_ms ends, and one that is accepted and never says who it is
 *    after less (struct session_door); a UNIX session ends with the process that made it, though a
 *    child of that one may hold the socket.
 *
 * Happy path: opened -> message* -> closed. `closed` comes exactly once for each session that was
 * opened or made by session_connect, whoever ended it and how, but for session_hub_close. It never
 * comes from inside a call of the owner: calls only note what is to be done, the loop does it. A
 * session pointer is good until its `closed` returns.
 *
 * Sending: session_send queues; the loop writes after the callbacks of the turn, so what one turn
 * says to one peer is one write. Frames to a peer arrive in order or the session ends.
 *
 * The first byte of a frame carries its first SESSION_DESCRIPTORS_A_BYTE descriptors, its second
 * byte the next, and so on; a receiver keeps those that arrive in a queue and takes as many as the
 * frame says it has. Of those that a peer passes here the last is kept, until it is taken
 * (session_take_descriptor), another comes, or the session ends.
 *
 * One thread: that of the event_base. Nothing blocks: host names are looked up on threads of their
 * own (session/resolver.h). */
#ifndef CKPT_SESSION_SESSION_H
#define CKPT_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/message.h"

#define SESSION_DESCRIPTORS_A_BYTE 250 /* below the kernel's SCM_MAX_FD of 253 */

struct event_base;
struct session_hub;
struct session;

struct session_hub_config {
    struct incarnation incarnation; /* of this life of the program: random, never all zero */
    uint32_t sessions_max;
    size_t receive_bytes_max; /* of one frame, header and all; each session holds so much */
    size_t output_bytes_max;
    size_t output_total_max;
    uint32_t idle_ms;   /* 0: a session may be silent for ever */
    uint32_t linger_ms; /* how long a session that is closed may take to write what is queued */
};

/* What a listener lets in. 0 is no bound, everywhere. Root and the user that this program runs as
 * are under none of the bounds for users. */
struct session_door {
    uint32_t sessions_max; /* accepted here at once */
    uint32_t a_user_max;   /* of them, of one user; UNIX sockets only */
    uint32_t kept;         /* of them, for root and this program's own user; UNIX sockets only */
    uint32_t
        strangers_max;    /* that nobody vouched for: the oldest of them makes room for the next */
    uint32_t stranger_ms; /* such a one ends when it is silent for so long */
};

struct session_counters {
    uint64_t accepted;
    uint64_t refused; /* above sessions_max, or a share of it */
    uint64_t frames_received;
    uint64_t frames_sent;
    uint64_t frames_old;   /* dropped by the sequence */
    uint64_t broken;       /* sessions ended by bytes that are not the protocol */
    uint64_t unread;       /* sessions ended as the peer did not read */
    uint64_t output_bytes; /* queued now, of all sessions */
    uint32_t sessions;     /* now */
};

/* What a session tells its owner. Callbacks may call any function of this header but
 * session_hub_close and session_hub_flush. */
struct session_events {
    /* Accepted, or the connect succeeded: messages may come and go. */
    void (*opened)(struct session *session, void *context);

    /* One message; it and what it points to live until this returns. */
    void (*message)(struct session *session, const struct message *message, void *context);

    /* The peer sent what is no frame of this protocol (CKPT_ERR_VERSION, _PROTOCOL, _CORRUPT,
     * _TOO_LARGE). The session ends after this;
     * a last message may be sent to say so. May be NULL. */
    void (*broken)(struct session *session, enum ckpt_status status, const char *reason,
                   void *context);

    /* It is over: CKPT_OK (the peer closed, or session_close), CKPT_ERR_LINK (the connection failed
     * or could not be made), CKPT_ERR_TIMEOUT (idle, or the connect took too long), or broken's
     * status. */
    void (*closed)(struct session *session, enum ckpt_status status, const char *reason,
                   void *context);
};

/* CKPT_ERR_INVALID (a zero among the config's bounds or the incarnation), CKPT_ERR_MEMORY. The base
 * stays the caller's and must outlive the hub. */
enum ckpt_status session_hub_open(struct event_base *base, const struct session_hub_config *config,
                                  struct session_hub **hub_out);

/* Ends all listeners and sessions at once, without callbacks; sets *hub to NULL. */
void session_hub_close(struct session_hub **hub);

/* Writes what is queued as far as the sockets take it now. */
void session_hub_flush(struct session_hub *hub);

/* Accepts every connection that waits, and reads once from every session, so that whatever had
 * arrived from somebody when this was called, his first words at least have been handed out when it
 * returns. From the loop's callbacks only, and not from a session's. */
void session_hub_read(struct session_hub *hub);

/* Until session_hub_resume no callback is called: nothing is read or accepted, and who ends is told
 * afterwards. What is sent meanwhile goes out. Words wait where they are, in buffers and sockets,
 * so a pause costs nothing but time, and a peer that says too much is held up by TCP. What a
 * callback is given before it pauses the hub is all that it gets from it. */
void session_hub_pause(struct session_hub *hub);

/* From the loop's callbacks only, and not from a session's. Callbacks are called from inside, and
 * may pause the hub again; what is left then waits on. */
void session_hub_resume(struct session_hub *hub);

/* Stops listening; sessions go on. */
void session_hub_stop_listening(struct session_hub *hub);

struct session_counters session_hub_counters(const struct session_hub *hub);

/* Listens at address (session/address.h); port 0 takes a free one. A UNIX socket gets `mode`, and
 * one that nobody answers at any more is replaced. events must live as long as the hub;
 * address_out, which may be NULL, gets the address as it is bound.
 *
 * reason_out (CKPT_REASON_MAX + 1 bytes) is set on failure.
 *
 * ERRORS
 * - CKPT_ERR_INVALID, CKPT_ERR_NOT_FOUND - the address
 * - CKPT_ERR_BUSY - somebody listens there already
 * - CKPT_ERR_SYSTEM - it cannot be bound, for another reason
 * - CKPT_ERR_MEMORY */
enum ckpt_status session_listen(struct session_hub *hub, const char *address, mode_t mode,
                                const struct session_events *events, void *context,
                                char *address_out, char *reason_out);

/* The same, with bounds for who comes in. *door is copied. */
enum ckpt_status session_listen_behind(struct session_hub *hub, const char *address, mode_t mode,
                                       const struct session_door *door,
                                       const struct session_events *events, void *context,
                                       char *address_out, char *reason_out);

/* The same in steps, for a program that takes its addresses before it takes anything else, and has
 * no answers before it has everything.
 *
 * session_bind takes the address: another program gets CKPT_ERR_BUSY for it, and who connects is
 * refused. The directory of a UNIX socket is made, 0755, where it is missing; not those above it.
 * While such a socket is bound, a lock file (path and ".lock") lies beside it.
 *
 * session_hub_listen has all that is bound so far listen: who connects waits. A TCP address that
 * another program has bound as well is CKPT_ERR_BUSY here.
 *
 * session_hub_serve does both, and accepts from the loop on. CKPT_ERR_BUSY, CKPT_ERR_SYSTEM,
 * CKPT_ERR_MEMORY, with a reason. */
enum ckpt_status session_bind(struct session_hub *hub, const char *address, mode_t mode,
                              const struct session_door *door, const struct session_events *events,
                              void *context, char *address_out, char *reason_out);
enum ckpt_status session_hub_listen(struct session_hub *hub, char *reason_out);
enum ckpt_status session_hub_serve(struct session_hub *hub, char *reason_out);

/* The peer has said who it is: it is a stranger at the door no longer. */
void session_vouch(struct session *session);

/* Begins to connect; `opened` or `closed` comes within timeout_ms, or, where a host's name has to
 * be looked up, within timeout_ms after that has ended, which may take what it takes. Messages may
 * be sent at once: they go out when it is open. `closed` says CKPT_ERR_NOT_FOUND for a host that
 * nobody knows. Fails only as CKPT_ERR_INVALID (the address), CKPT_ERR_FULL (sessions_max),
 * CKPT_ERR_SYSTEM (no socket, no thread) or CKPT_ERR_MEMORY. */
enum ckpt_status session_connect(struct session_hub *hub, const char *address, uint32_t timeout_ms,
                                 const struct session_events *events, void *context,
                                 struct session **session_out, char *reason_out);

/* Whether a session that connects still waits for its host's name to be looked up. */
bool session_is_looked_up(const struct session *session);

/* The session's number, from 1; never used again by this hub. */
uint32_t session_link(const struct session *session);

/* The session of that number; NULL when it is over. O(1). */
struct session *session_find(const struct session_hub *hub, uint32_t link);

/* A UNIX peer, and its credentials as the kernel knew them when it connected. uid is UINT32_MAX for
 * a TCP peer. */
bool session_is_local(const struct session *session);
uint32_t session_uid(const struct session *session);

/* This end's address as the peer's machine sees it, and ours: what a TCP session that is open is
 * bound to, without its port. False for others. */
bool session_local_host(const struct session *session, char host_out[CKPT_ADDRESS_MAX + 1]);

/* Of the peer, for logs: "10.0.0.7:51234", or "uid=1000,pid=4711". Lives as long as the session. */
const char *session_peer(const struct session *session);

/* Puts the session into a group for session_send_group; 0, at first, is none. */
void session_set_group(struct session *session, uint32_t group);
uint32_t session_group(const struct session *session);

/* A pointer of the owner's. */
void session_set_data(struct session *session, void *data);
void *session_data(const struct session *session);

/* Queues *message, with its incarnation and sequence filled in. descriptors (NULL when count is 0)
 * are the session's from here on, also on failure: it closes them when they are sent or the session
 * ends.
 *
 * ERRORS
 * - CKPT_ERR_INVALID, CKPT_ERR_TOO_LARGE - the message cannot be encoded, or has descriptors and
 *   the peer is not local: a defect of the caller
 * - CKPT_ERR_LINK - the session is ending; or the peer does not read, and the session ends now
 * - CKPT_ERR_MEMORY - the session ends now */
enum ckpt_status session_send(struct session *session, const struct message *message,
                              const int *descriptors, uint32_t count);

/* Queues *message to every session of a group; encoded once. Errors as session_send, for the first
 * session that had one; the others get it nevertheless. */
enum ckpt_status session_send_group(struct session_hub *hub, uint32_t group,
                                    const struct message *message);

/* The last descriptor that the peer passed, which is the caller's now; -1: none. A peer that sends
 * one with the first byte of a frame finds it taken with that frame, if it sends none with the next
 * before that one is answered. */
int session_take_descriptor(struct session *session);

/* Takes no more from the peer, writes what is queued,
 * for linger_ms at most, and ends the session. */
void session_close(struct session *session);

#endif
