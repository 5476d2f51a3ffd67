/* SPDX-License-Identifier: Apache-2.0 */
/* Signals of a daemon as events of its loop. */
#ifndef CKPT_SESSION_SIGNALS_H
#define CKPT_SESSION_SIGNALS_H

#include <ckpt/status.h>

struct event_base;
struct session_signals;

/* Called in the loop, with SIGTERM, SIGINT or SIGHUP. */
typedef void session_on_signal(int signal_number, void *context);

/* Watches those signals, and ignores SIGPIPE: a peer that went away is an error of the call. For
 * the main thread, before others start. CKPT_ERR_MEMORY. */
enum ckpt_status session_signals_watch(struct event_base *base, session_on_signal *on_signal,
                                       void *context, struct session_signals **signals_out);

/* Ends the watch, and sets *signals to NULL; NULL and a pointer to NULL are taken. */
void session_signals_free(struct session_signals **signals);

#endif
