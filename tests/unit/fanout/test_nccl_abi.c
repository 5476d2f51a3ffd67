/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken for NCCL's binary interface is its header's; and the real library, where there is
 * no GPU, is refused with a word. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <nccl.h>

#include <ckpt/fanout.h>

#include "base/limits.h"
#include "fanout/nccl_library.h"

#define SAME(ours, theirs)                                                                         \
    _Static_assert(offsetof(struct nccl_config, ours) == offsetof(ncclConfig_t, theirs), #ours)
SAME(size, size);
SAME(magic, magic);
SAME(version, version);
SAME(blocking, blocking);
SAME(cga_cluster_size, cgaClusterSize);
SAME(min_ctas, minCTAs);
SAME(max_ctas, maxCTAs);
SAME(net_name, netName);
SAME(split_share, splitShare);
SAME(traffic_class, trafficClass);
SAME(name, commName);
_Static_assert(sizeof(struct nccl_config) <= sizeof(ncclConfig_t), "a beginning of theirs");
_Static_assert(sizeof(struct nccl_id) == sizeof(ncclUniqueId), "an id");
_Static_assert((int)NCCL_IN_PROGRESS == (int)ncclInProgress, "results");
_Static_assert((int)NCCL_OK == (int)ncclSuccess, "results");
_Static_assert((int)NCCL_TYPE_UINT8 == (int)ncclUint8, "types");
_Static_assert(NCCL_CONFIG_UNSET == NCCL_CONFIG_UNDEF_INT, "what is not set");

static void its_initializer_is_ours(void **state)
{
    ncclConfig_t theirs = NCCL_CONFIG_INITIALIZER;
    (void)state;
    assert_int_equal(theirs.magic, NCCL_CONFIG_MAGIC);
    assert_int_equal(theirs.trafficClass, NCCL_CONFIG_UNSET);
}

/* The process's own NCCL is the one that is taken: the real one, whatever else lies in the loader's
 * path. Where there is no driver that is said; over a driver that is none (tests/fake_gpu) NCCL
 * itself says no, when it begins. */
static void the_real_one_is_opened_and_refuses(void **state)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    struct nccl_library library;
    struct ckpt_fanout *group;
    struct ckpt_fanout_options options = {
        .size = sizeof(options), .ranks = 1, .road = CKPT_FANOUT_NCCL};
    (void)state;
    if (dlopen(NCCL_FILE, RTLD_NOW | RTLD_LOCAL) == NULL || access("/dev/nvidiactl", F_OK) == 0) {
        skip();
    }
    enum ckpt_status status = nccl_library_open(&library, reason);
    assert_int_equal(ckpt_fanout_open(&options, &group, NULL, 0), CKPT_OK);
    if (status == CKPT_OK) {
        assert_int_equal(library.version, NCCL_VERSION_CODE);
        assert_int_equal(ckpt_fanout_join(group, NULL, 20000), CKPT_ERR_LINK);
        assert_non_null(strstr(ckpt_fanout_reason(group), "NCCL: its beginning"));
    } else {
        assert_int_equal(status, CKPT_ERR_UNSUPPORTED);
        assert_non_null(strstr(reason, "libcuda.so.1"));
        assert_int_equal(ckpt_fanout_join(group, NULL, 1000), CKPT_ERR_UNSUPPORTED);
        assert_non_null(strstr(ckpt_fanout_reason(group), "0 of 1 ranks have NCCL"));
    }
    ckpt_fanout_close(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_initializer_is_ours),
        cmocka_unit_test(the_real_one_is_opened_and_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
