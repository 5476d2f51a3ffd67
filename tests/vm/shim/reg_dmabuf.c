/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD=libreg_dmabuf.so: ibv_reg_dmabuf_mr() for devices that have none, Soft-RoCE's above
 * all. The descriptor must be one that can be mapped, a memfd in place of a GPU's dma-buf; it is
 * mapped, and the mapping is registered by the real library with the address that peers are to use.
 * So everything but the driver's own import of a dma-buf runs as it does with a GPU.
 *
 * Like a driver that has the call it refuses descriptor -1 with EBADF, which is how a program asks.
 * Each registration is a line on standard error, "event=shim_reg_dmabuf", by which a test knows
 * that it came here. The mapping stays until the process ends: the region may be freed by a call
 * that is not ours. */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <infiniband/verbs.h>

#define SHIM_PAGE UINT64_C(4096)

/* What a driver would find out: the range lies within the buffer. */
static int check(uint64_t offset, size_t length, uint64_t iova, int fd)
{
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0) {
        return EBADF;
    }
    if (length == 0 || offset % SHIM_PAGE != iova % SHIM_PAGE || offset > UINT64_MAX - length ||
        (S_ISREG(status.st_mode) && offset + length > (uint64_t)status.st_size)) {
        return EINVAL;
    }
    return 0;
}

struct ibv_mr *ibv_reg_dmabuf_mr(struct ibv_pd *pd, uint64_t offset, size_t length, uint64_t iova,
                                 int fd, int access)
{
    uint64_t before = offset % SHIM_PAGE;
    int error = check(offset, length, iova, fd);
    struct ibv_mr *mr = NULL;

    if (error == 0) {
        /* Writable also for a region that is only read: the kernel pins a shared mapping no other
         * way (EFAULT). */
        uint8_t *mapped = mmap(NULL, length + before, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                               (off_t)(offset - before));
        if (mapped == MAP_FAILED) {
            error = errno;
        } else {
            mr = ibv_reg_mr_iova(pd, mapped + before, length, iova, (unsigned)access);
            error = mr == NULL ? errno : 0;
        }
    }
    if (fd >= 0) {
        fprintf(stderr,
                "event=shim_reg_dmabuf fd=%d offset=%" PRIu64 " bytes=%zu iova=0x%" PRIx64
                " error=%d\n",
                fd, offset, length, iova, error);
    }
    errno = error;
    return mr;
}
