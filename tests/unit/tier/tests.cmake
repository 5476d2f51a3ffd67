# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_tier SOURCES unit/tier/test_tier.c unit/tier/fixture.c LINKS ckpt_tier)
ckpt_test(test_tier_fsck SOURCES unit/tier/test_fsck.c unit/tier/fixture.c LINKS ckpt_tier)
ckpt_test(test_tier_names SOURCES unit/tier/test_names.c LINKS ckpt_tier)
