/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what of a save lies in a GPU's memory. */
#ifndef CKPT_CLIENT_GPU_H
#define CKPT_CLIENT_GPU_H

#include "client/context.h"
#include "device/device.h"

/* Of a context that has used a GPU. */
struct client_gpu {
    struct device *device; /* NULL: it is to be opened */
    struct {
        void *address; /* of a mapping that is registered with it; NULL: none */
        uint64_t bytes;
    } pinned[MAPPINGS_KEPT];
    char pin_reason[CKPT_REASON_MAX + 1]; /* why the last one was refused */

    bool is_begun;   /* the begun save has copies under way, or they have ended */
    const char *why; /* they are not to be proven; "": they are */
    bool is_stuck;   /* those of a save that is over have not ended; its slot is still granted: */
    uint64_t stuck_step;
    uint32_t stuck_link;
    struct client_grant stuck;

    /* What rides with the next seal, and is told from then on. */
    bool rides;
    bool has_report;
    struct digest digest;
    struct ckpt_device_report report;
};

/* The GPU that has that memory, opened, and nothing under way on it.
 * CKPT_ERR_BUSY: something is; else as device_of() and device_open(). */
enum ckpt_status client_gpu_get(struct ckpt *ckpt, const void *address,
                                struct client_gpu **gpu_out);

/* How long copies of so many bytes may take. */
struct deadline client_gpu_deadline(const struct ckpt *ckpt, uint64_t bytes);

/* The report of a job that has ended; why: of one that was not to be proven, or "". */
void client_gpu_report(struct client_gpu *gpu, const char *why);

/* The begun save's copies have ended, or it has none: CKPT_OK. CKPT_ERR_TIMEOUT: they have not, and
 * its slot is given back later; else it is to be given up. */
enum ckpt_status client_gpu_end(struct ckpt *ckpt);

/* The begun save is given up. False: its slot may still be written to, and is given back later. */
bool client_gpu_cancel(struct ckpt *ckpt);

/* Whether a save may begin: false, with a reason, while an earlier one's copies are under way. */
bool client_gpu_settle(struct ckpt *ckpt);

/* Adds to the seal what the GPU had. */
void client_gpu_ride(struct ckpt *ckpt, struct message_seal *seal);

/* Gives all back, before slots are unmapped. */
void client_gpu_close(struct ckpt *ckpt);

#endif
