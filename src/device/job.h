/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a job of a device, and what is put on its streams. The context is current. */
#ifndef CKPT_DEVICE_JOB_H
#define CKPT_DEVICE_JOB_H

#include "base/limits.h"
#include "device/device.h"
#include "device/kernels_library.h"
#include "device/memory.h"

struct device {
    struct driver driver;
    struct kernels_library library; /* handle NULL: no_kernels says why */
    char no_kernels[CKPT_REASON_MAX + 1];
    int ordinal;
    void *context;
    void *copies, *kernels;          /* streams */
    void *ready, *copied, *computed; /* events: of the producer, and at either stream's end */
    struct device_memory memory;
    bool is_lost;

    /* The job, also once it is over. */
    bool is_under_way;
    bool has_values;
    struct device_job job;
    struct device_part *parts;
    struct digest_key key;
    struct device_room room;
    size_t small_count; /* of its parts */
    uint64_t straight_bytes;
    uint64_t packed_bytes;
    char word[CKPT_REASON_MAX + 1];

    /* Of copies that are put on a stream at once. */
    size_t scratch_count;
    uint64_t *scratch;
};

/* Makes tables and memory for the values. False: why is in reason, and the job goes without. */
bool job_prepare(struct device *d, char *reason);

/* Puts the passes on the kernels' stream: values, and what goes by the window. Those of tensors
 * that come in wait for the straight copies. False, as above. */
bool job_put_passes(struct device *d, char *reason);

/* Puts the copies of large parts on the copies' stream; of all, where there are no values. Returns
 * the driver's error. */
int job_put_straight(struct device *d);

/* As device_digest(). */
enum ckpt_status job_digest(const struct device *d, struct digest *digest_out, char *reason);

#endif
