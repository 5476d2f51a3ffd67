/* SPDX-License-Identifier: Apache-2.0 */
/* What would fail late, when gigabytes have been registered: asked before, and told with its
 * remedy. */
#include "transport/verbs/preflight.h"
#include "transport/verbs/verbs.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The two pages of words that verbs itself registers; generously. */
#define OWN_BYTES CKPT_MIB

/* What the kernel asks (ib_umem_get) before it looks at the limit; in a user namespace it asks for
 * the capability outside of it, which cannot be seen from here. */
static bool may_lock_all(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capget, &header, data) == 0 &&
           (data[CAP_IPC_LOCK / 32].effective & (UINT32_C(1) << CAP_IPC_LOCK % 32)) != 0;
}

/* The soft limit, raised to the hard one. */
static uint64_t lockable_bytes(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return UINT64_MAX;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &limit);
        (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    }
    return limit.rlim_cur;
}

/* The kernel counts what is registered once for each device. */
static enum ckpt_status check_memlock(const struct verbs *v, uint64_t memory_bytes)
{
    uint64_t each = (memory_bytes != 0 ? memory_bytes : 2 * CKPT_SEGMENT_BYTES_MIN) + OWN_BYTES;
    uint64_t need = each * v->rails_count;
    uint64_t allowed = lockable_bytes();

    if (allowed >= need || may_lock_all()) {
        return CKPT_OK;
    }
    transport_set_open_error(
        "verbs: %ju MiB are locked once for each of %u rails, and this process "
        "may lock %ju KiB: set LimitMEMLOCK=infinity in the unit, or \"ulimit "
        "-l unlimited\" (at least %ju), or give it CAP_IPC_LOCK",
        (uintmax_t)(each / CKPT_MIB), v->rails_count, (uintmax_t)(allowed / CKPT_KIB),
        (uintmax_t)(need / CKPT_KIB));
    return CKPT_ERR_CONFIG;
}

static enum ckpt_status check_device(const struct verbs_rail *rail,
                                     const struct transport_options *options)
{
    uint64_t most = rail->device.max_mr_size;
    uint64_t regions =
        options->region_bytes != 0 ? options->memory_bytes / options->region_bytes + 2 : 0;

    if (options->region_bytes > most) {
        transport_set_open_error("verbs: %s registers at most %ju MiB at once, and a segment has "
                                 "%ju: set [arena] segment_bytes to at most %juMiB",
                                 rail->name, (uintmax_t)(most / CKPT_MIB),
                                 (uintmax_t)(options->region_bytes / CKPT_MIB),
                                 (uintmax_t)(most / CKPT_MIB));
        return CKPT_ERR_CONFIG;
    }
    if (rail->device.max_mr > 0 && regions > (uint64_t)rail->device.max_mr) {
        transport_set_open_error("verbs: %s registers at most %d regions, and there would be %ju: "
                                 "set [arena] segment_bytes higher",
                                 rail->name, rail->device.max_mr, (uintmax_t)regions);
        return CKPT_ERR_CONFIG;
    }
    return CKPT_OK;
}

enum ckpt_status verbs_preflight(const struct verbs *v, const struct transport_options *options)
{
    enum ckpt_status status = CKPT_OK;

    for (uint32_t i = 0; i < v->rails_count && status == CKPT_OK; i++) {
        status = check_device(&v->rails[i], options);
    }
    return status == CKPT_OK ? check_memlock(v, options->memory_bytes) : status;
}
