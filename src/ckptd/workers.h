/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that work at the arena's memory: after it they are started, before it they end. */
#ifndef CKPT_CKPTD_WORKERS_H
#define CKPT_CKPTD_WORKERS_H

#include "ckptd/daemon.h"
#include "daemon/part.h"

/* What digests are computed with. */
extern struct part part_engine;
enum engine_key { ENGINE_ENGINE, ENGINE_THREADS, ENGINE_NICE, ENGINE_KEYS };

extern struct part part_digester;
extern struct part part_mover; /* which part_transport has made: gets the memory */
extern struct part part_quiet; /* what holds both back */

#endif
