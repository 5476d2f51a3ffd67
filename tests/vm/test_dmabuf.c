/* SPDX-License-Identifier: Apache-2.0 */
/* A dma-buf that is registered, exported and read over Soft-RoCE, by the shim of shim/reg_dmabuf.c:
 * what our code says to the device (offset, length, address, descriptor) must be right for these
 * bytes to come. A memfd is the dma-buf; no GPU is in it. In one machine of vm.py. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "transport/transport.h"

#define FILE_BYTES (UINT64_C(1) << 20)
#define OFFSET UINT64_C(8192)
#define REGION_BYTES (FILE_BYTES - 4 * OFFSET)
#define SPEC "verbs:rxe0"

static struct transport *open_one(void)
{
    struct transport_options options = {.timeout_ms = 20000};
    struct transport *t;

    if (transport_open(SPEC, &options, &t) != CKPT_OK) {
        fail_msg("%s", transport_open_error());
    }
    return t;
}

static enum ckpt_status drive(struct transport *reader, struct transport *source)
{
    struct transport_completion done;
    struct pollfd waiters[] = {{.fd = transport_event_fd(reader), .events = POLLIN},
                               {.fd = transport_event_fd(source), .events = POLLIN}};

    for (;;) {
        transport_progress(source, &done, 1);
        if (transport_progress(reader, &done, 1) > 0) {
            return done.status;
        }
        if (transport_arm(reader) && transport_arm(source)) {
            poll(waiters, 2, -1);
        }
    }
}

static void bytes_of_a_descriptor_are_read(void **state)
{
    struct transport *source = open_one(), *reader = open_one();
    int fd = memfd_create("gpu", MFD_CLOEXEC);
    uint8_t address[CKPT_WORKER_ADDRESS_MAX], descriptor[CKPT_DESCRIPTOR_MAX];
    size_t address_bytes, descriptor_bytes;
    struct transport_region *exported, *local;
    struct transport_endpoint *endpoint;
    uint8_t *target = aligned_alloc(4096, REGION_BYTES);

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)FILE_BYTES), 0);
    uint8_t *file = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(file, MAP_FAILED);
    for (uint64_t i = 0; i < FILE_BYTES; i++) {
        file[i] = (uint8_t)(i * 7 + (i >> 12));
    }
    struct transport_memory gpu = {.bytes = REGION_BYTES,
                                   .dmabuf = true,
                                   .dmabuf_fd = fd,
                                   .dmabuf_offset = OFFSET,
                                   .generation = 1,
                                   .read_only = true};
    struct transport_memory host = {.address = target, .bytes = REGION_BYTES};
    assert_int_equal(transport_register(source, &gpu, &exported), CKPT_OK);
    close(fd); /* borrowed for the call */
    assert_int_equal(transport_register(reader, &host, &local), CKPT_OK);
    assert_int_equal(transport_export(exported, descriptor, &descriptor_bytes), CKPT_OK);
    assert_int_equal(transport_address(source, address, &address_bytes), CKPT_OK);
    assert_int_equal(transport_connect(reader, address, address_bytes, 0, &endpoint), CKPT_OK);

    struct transport_read_request request = {.endpoint = endpoint,
                                             .descriptor = descriptor,
                                             .descriptor_bytes = descriptor_bytes,
                                             .local = local,
                                             .bytes = REGION_BYTES};
    assert_int_equal(transport_read(&request), CKPT_OK);
    assert_int_equal(drive(reader, source), CKPT_OK);
    assert_memory_equal(target, file + OFFSET, REGION_BYTES);

    /* The same memory, changed by its owner. */
    memset(file + OFFSET + 12345, 0xa5, 4096);
    request.remote_offset = request.local_offset = 12288;
    request.bytes = 16384;
    assert_int_equal(transport_read(&request), CKPT_OK);
    assert_int_equal(drive(reader, source), CKPT_OK);
    assert_memory_equal(target, file + OFFSET, REGION_BYTES);

    assert_int_equal(transport_deregister(exported), CKPT_OK);
    assert_int_equal(transport_read(&request), CKPT_OK);
    assert_int_not_equal(drive(reader, source), CKPT_OK);
    transport_close(reader, NULL, NULL);
    transport_close(source, NULL, NULL);
    munmap(file, FILE_BYTES);
    free(target);
}

static void a_range_beyond_it_is_refused(void **state)
{
    struct transport *source = open_one();
    struct transport_region *region;
    int fd = memfd_create("gpu", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)FILE_BYTES), 0);
    struct transport_memory gpu = {.bytes = FILE_BYTES,
                                   .dmabuf = true,
                                   .dmabuf_fd = fd,
                                   .dmabuf_offset = OFFSET,
                                   .generation = 1};
    assert_int_equal(transport_register(source, &gpu, &region), CKPT_ERR_MEMORY);
    gpu.dmabuf_fd = -1;
    assert_int_equal(transport_register(source, &gpu, &region), CKPT_ERR_MEMORY);
    close(fd);
    transport_close(source, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_a_descriptor_are_read),
        cmocka_unit_test(a_range_beyond_it_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
