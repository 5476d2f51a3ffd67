/* SPDX-License-Identifier: Apache-2.0 */
/* Registration against a fake of libibverbs: the functions below stand in front of the library's.
 * GPU memory (dma-buf) is proven here alone: Soft-RoCE has none. */
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "transport/verbs/preflight.h"
#include "transport/verbs/rails.h"
#include "transport/verbs/region.h"
#include "transport/verbs/removal.h"

#define MRS_MAX 64

static struct {
    struct ibv_mr mrs[MRS_MAX];
    struct {
        void *address;
        uint64_t bytes, iova, offset;
        int fd;
        unsigned access;
        bool dmabuf, live;
        pthread_t thread;
    } calls[MRS_MAX];
    unsigned count;
    unsigned fail_at; /* the call with this number fails */
    int fail_with;    /* errno of that */
    int probe_errno;  /* of dma-buf registration with descriptor -1 */
    unsigned busy;    /* deregistrations that are refused first */
} fake;

static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

static struct ibv_mr *enroll(struct ibv_pd *pd, void *address, uint64_t bytes, uint64_t iova,
                             unsigned access)
{
    pthread_mutex_lock(&fake_lock);
    unsigned index = fake.count++;
    pthread_mutex_unlock(&fake_lock);

    if (index == fake.fail_at) {
        errno = fake.fail_with;
        return NULL;
    }
    assert_true(index < MRS_MAX);
    fake.mrs[index] = (struct ibv_mr){.pd = pd, .lkey = 100 + index, .rkey = 500 + index};
    fake.calls[index].address = address;
    fake.calls[index].thread = pthread_self();
    fake.calls[index].bytes = bytes;
    fake.calls[index].iova = iova;
    fake.calls[index].access = access;
    fake.calls[index].live = true;
    return &fake.mrs[index];
}

#undef ibv_reg_mr
struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *address, size_t bytes, int access)
{
    return enroll(pd, address, bytes, (uintptr_t)address, (unsigned)access);
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *address, size_t bytes, uint64_t iova,
                                unsigned access)
{
    return enroll(pd, address, bytes, iova, access);
}

struct ibv_mr *ibv_reg_dmabuf_mr(struct ibv_pd *pd, uint64_t offset, size_t bytes, uint64_t iova,
                                 int fd, int access)
{
    struct ibv_mr *mr;

    if (fd < 0) {
        errno = fake.probe_errno;
        return NULL;
    }
    mr = enroll(pd, NULL, bytes, iova, (unsigned)access);
    if (mr != NULL) {
        size_t index = (size_t)(mr - fake.mrs);
        fake.calls[index].offset = offset;
        fake.calls[index].fd = fd;
        fake.calls[index].dmabuf = true;
    }
    return mr;
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
    if (fake.busy != 0) {
        fake.busy--;
        return EBUSY;
    }
    assert_true(fake.calls[mr - fake.mrs].live);
    fake.calls[mr - fake.mrs].live = false;
    return 0;
}

static unsigned live(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < MRS_MAX; i++) {
        count += fake.calls[i].live;
    }
    return count;
}

/* Two rails without any device; the slots take the first four registrations. */
static int setup(void **state)
{
    struct verbs *v = calloc(1, sizeof(*v));

    memset(&fake, 0, sizeof(fake));
    fake.fail_at = UINT32_MAX;
    fake.probe_errno = EBADF;
    v->rails_count = 2;
    v->reads.count = 16;
    v->id = 5;
    for (uint32_t i = 0; i < 2; i++) {
        v->rails[i] = (struct verbs_rail){.verbs = v, .index = i, .name = "fake"};
        v->rails[i].device.max_mr_size = CKPT_GIB;
    }
    assert_int_equal(verbs_slots_open(v), CKPT_OK);
    assert_int_equal(fake.count, 4);
    *state = v;
    return 0;
}

static int teardown(void **state)
{
    struct verbs *v = *state;

    verbs_regions_close(v);
    verbs_slots_close(v);
    assert_int_equal(live(), 0);
    free(v);
    return 0;
}

static void test_rights(void **state)
{
    static uint8_t bytes[4096];
    struct verbs *v = *state;
    struct transport_memory memory = {.address = bytes, .bytes = sizeof(bytes), .generation = 3};
    struct transport_region *region;

    assert_int_equal(verbs_register(&v->base, &memory, &region), CKPT_OK);
    memory.read_only = true;
    assert_int_equal(verbs_register(&v->base, &memory, &region), CKPT_OK);
    for (unsigned i = 0; i < fake.count; i++) {
        assert_int_equal(fake.calls[i].access &
                             (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC |
                              IBV_ACCESS_MW_BIND | IBV_ACCESS_ON_DEMAND),
                         0);
    }
    /* The slots are only read, what was read of others' is only written, and both in order. */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fake.calls[i].access,
                         i % 2 == 0 ? IBV_ACCESS_REMOTE_READ : IBV_ACCESS_LOCAL_WRITE);
    }
    assert_int_equal(fake.calls[4].access,
                     IBV_ACCESS_REMOTE_READ | IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_RELAXED_ORDERING);
    assert_int_equal(fake.calls[6].access, IBV_ACCESS_REMOTE_READ | IBV_ACCESS_RELAXED_ORDERING);
}

static void test_gpu_memory(void **state)
{
    struct verbs *v = *state;
    struct transport_memory memory = {
        .bytes = CKPT_MIB, .dmabuf = true, .dmabuf_fd = 42, .dmabuf_offset = 8192, .generation = 9};
    struct transport_region *region;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
    size_t count = 0;
    struct label label;
    struct ticket ticket;

    assert_int_equal(verbs_register(&v->base, &memory, &region), CKPT_OK);
    for (unsigned i = 4; i < 6; i++) {
        assert_true(fake.calls[i].dmabuf);
        assert_int_equal(fake.calls[i].fd, 42);
        assert_int_equal(fake.calls[i].offset, 8192);
        assert_int_equal(fake.calls[i].iova % 4096, fake.calls[i].offset % 4096);
        assert_int_equal(fake.calls[i].bytes, CKPT_MIB);
    }
    assert_int_equal(verbs_export(region, descriptor, &count), CKPT_OK);
    assert_int_equal(label_decode(descriptor, count, LABEL_REGION, LABEL_VERBS, &label), CKPT_OK);
    assert_int_equal(ticket_decode(label.payload, label.payload_bytes, &ticket), CKPT_OK);
    assert_int_equal(ticket.address, fake.calls[4].iova);
    assert_int_equal(ticket.keys[0].region, 504);
    assert_int_equal(ticket.keys[1].region, 505);
    assert_int_equal(ticket.keys[0].slots, 500);
    assert_int_equal(ticket.keys[1].slots, 502);
    assert_int_equal(label.generation, 9);
}

static void test_no_gpu_memory(void **state)
{
    struct verbs *v = *state;
    struct transport_memory memory = {.bytes = CKPT_MIB, .dmabuf = true, .dmabuf_fd = 42};
    struct transport_region *region = NULL;

    fake.probe_errno = EOPNOTSUPP;
    assert_int_equal(verbs_register(&v->base, &memory, &region), CKPT_ERR_UNSUPPORTED);
    assert_null(region);
    assert_int_equal(fake.count, 4);
}

static void test_refused_on_the_second_rail(void **state)
{
    static uint8_t bytes[4096];
    struct verbs *v = *state;
    struct transport_memory memory = {.address = bytes, .bytes = sizeof(bytes)};
    struct transport_region *region = NULL;

    fake.fail_at = 5;
    fake.fail_with = ENOMEM;
    assert_int_equal(verbs_register(&v->base, &memory, &region), CKPT_ERR_MEMORY);
    assert_null(region);
    assert_int_equal(live(), 4);
    memory.bytes = CKPT_GIB + 1; /* more than the device has: it is not even asked */
    fake.count = 10;
    assert_int_equal(verbs_register(&v->base, &memory, &region), CKPT_ERR_MEMORY);
    assert_int_equal(fake.count, 10);
}

/* A large region is registered at all rails at once, each by a thread; if one refuses, by none. */
static void test_rails_in_parallel(void **state)
{
    struct verbs *v = *state;
    struct transport_memory memory = {.bytes = 64 * CKPT_MIB, .generation = 1};
    struct transport_region *region = NULL;

    memory.address = mmap(NULL, memory.bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(verbs_register(&v->base, &memory, &region), CKPT_OK);
    assert_int_equal(fake.count, 6);
    assert_false(pthread_equal(fake.calls[4].thread, fake.calls[5].thread));
    const struct verbs_region *own = (const struct verbs_region *)(void *)region;
    assert_ptr_not_equal(own->mrs[0], own->mrs[1]);
    assert_int_equal(verbs_deregister(region), CKPT_OK);
    fake.fail_at = 7;
    fake.fail_with = ENOMEM;
    assert_int_equal(verbs_register(&v->base, &memory, &region), CKPT_ERR_MEMORY);
    assert_int_equal(live(), 4);
    munmap(memory.address, memory.bytes);
}

static void expect_preflight(struct verbs *v, const struct transport_options *options,
                             const char *words)
{
    assert_int_equal(verbs_preflight(v, options), CKPT_ERR_CONFIG);
    if (strstr(transport_open_error(), words) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", transport_open_error(), words);
    }
    print_message("%s\n", transport_open_error());
}

static void test_preflight_of_the_device(void **state)
{
    struct verbs *v = *state;
    struct transport_options options = {.memory_bytes = 4 * CKPT_GIB, .region_bytes = 2 * CKPT_GIB};

    expect_preflight(v, &options, "set [arena] segment_bytes to at most 1024MiB");
    options.region_bytes = CKPT_MIB;
    v->rails[1].device.max_mr = 100;
    expect_preflight(v, &options, "at most 100 regions");
}

/* The last test: the process has less afterwards. Both rails count what they register, and each has
 * a MiB of its own. */
static void test_preflight_of_memlock(void **state)
{
    struct verbs *v = *state;
    struct transport_options options = {.region_bytes = CKPT_MIB};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    struct rlimit limit;

    assert_int_equal(syscall(SYS_capget, &header, data), 0);
    bool may = (data[0].effective & UINT32_C(1) << CAP_IPC_LOCK) != 0;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    limit.rlim_max = limit.rlim_max > CKPT_GIB ? CKPT_GIB : limit.rlim_max;
    limit.rlim_cur = 0;
    assert_true(limit.rlim_max >= 4 * CKPT_MIB);
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    data[0].effective &= ~(UINT32_C(1) << CAP_IPC_LOCK);
    assert_int_equal(syscall(SYS_capset, &header, data), 0);
    options.memory_bytes = limit.rlim_max / 2 - CKPT_MIB;
    assert_int_equal(verbs_preflight(v, &options), CKPT_OK); /* the soft limit was raised */
    options.memory_bytes += CKPT_MIB;
    expect_preflight(v, &options, "LimitMEMLOCK=infinity");
    expect_preflight(v, &options, "once for each of 2 rails");
    if (may) {
        data[0].effective |= UINT32_C(1) << CAP_IPC_LOCK;
        assert_int_equal(syscall(SYS_capset, &header, data), 0);
        assert_int_equal(verbs_preflight(v, &options), CKPT_OK);
    }
}

static void test_near_rails(void **state)
{
    struct verbs *v = *state;

    snprintf(v->rails[0].name, sizeof(v->rails[0].name), "mlx5_1:1");
    snprintf(v->rails[1].name, sizeof(v->rails[1].name), "mlx5_10:2");
    v->rails[0].port = 1;
    v->rails[1].port = 2;
    assert_int_equal(verbs_rails_near(v, "mlx5_1"), 1);
    assert_int_equal(verbs_rails_near(v, "mlx5_1:1"), 1);
    assert_int_equal(verbs_rails_near(v, "mlx5_10:2"), 2);
    assert_int_equal(verbs_rails_near(v, "mlx5_7+mlx5_10:2,mlx5_1"), 3);
    assert_int_equal(verbs_rails_near(v, "mlx5_10"), UINT32_MAX); /* that is port 1 */
    assert_int_equal(verbs_rails_near(v, "mlx5"), UINT32_MAX);
    assert_int_equal(verbs_rails_near(v, NULL), UINT32_MAX);
}

static void test_a_slot_never_names_two_regions(void **state)
{
    static uint8_t bytes[4096];
    struct verbs *v = *state;
    struct transport_memory memory = {.address = bytes, .bytes = sizeof(bytes), .generation = 1};
    struct transport_region *first, *second;
    uint32_t place;
    uint64_t id;

    assert_int_equal(verbs_register(&v->base, &memory, &first), CKPT_OK);
    place = ((struct verbs_region *)(void *)first)->place;
    id = v->slots[place].id;
    assert_int_equal(v->slots[place].generation, 1);
    fake.busy = 3; /* a device that needs to be asked again */
    assert_int_equal(verbs_deregister(first), CKPT_OK);
    assert_int_equal(v->slots[place].id, 0);
    v->place_next = place;
    assert_int_equal(verbs_register(&v->base, &memory, &second), CKPT_OK);
    assert_int_equal(((struct verbs_region *)(void *)second)->place, place);
    assert_int_not_equal(v->slots[place].id, id);
}

/* What was registered at a device that is gone is given back; the others keep theirs, and what is
 * registered later is registered there alone. */
static void test_a_device_that_is_gone(void **state)
{
    static uint8_t bytes[4096];
    struct verbs *v = *state;
    struct transport_memory memory = {.address = bytes, .bytes = sizeof(bytes), .generation = 1};
    struct transport_region *before, *after;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
    size_t count = 0;
    struct label label;
    struct ticket ticket;

    assert_int_equal(verbs_register(&v->base, &memory, &before), CKPT_OK);
    assert_int_equal(live(), 6);
    verbs_rail_mark_removed(&v->rails[0], "removed");
    assert_int_equal(verbs_rails_left(v), 1);
    verbs_regions_leave(&v->rails[0]);
    assert_int_equal(live(), 3);
    assert_true(fake.calls[2].live && fake.calls[3].live && fake.calls[5].live);
    assert_int_equal(verbs_register(&v->base, &memory, &after), CKPT_OK);
    assert_int_equal(live(), 4);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(verbs_export(i == 0 ? before : after, descriptor, &count), CKPT_OK);
        assert_int_equal(label_decode(descriptor, count, LABEL_REGION, LABEL_VERBS, &label),
                         CKPT_OK);
        assert_int_equal(ticket_decode(label.payload, label.payload_bytes, &ticket), CKPT_OK);
        assert_int_equal(ticket.rails_count, 2);
        assert_int_equal(ticket.keys[0].region, 0);
        assert_int_equal(ticket.keys[1].region, i == 0 ? 505 : 506);
        assert_int_equal(ticket.keys[1].slots, 502);
    }
    assert_int_equal(verbs_deregister(before), CKPT_OK);
    assert_int_equal(live(), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define REGISTER_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        REGISTER_TEST(test_rights),
        REGISTER_TEST(test_gpu_memory),
        REGISTER_TEST(test_no_gpu_memory),
        REGISTER_TEST(test_refused_on_the_second_rail),
        REGISTER_TEST(test_a_slot_never_names_two_regions),
        REGISTER_TEST(test_rails_in_parallel),
        REGISTER_TEST(test_near_rails),
        REGISTER_TEST(test_a_device_that_is_gone),
        REGISTER_TEST(test_preflight_of_the_device),
        REGISTER_TEST(test_preflight_of_memlock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
