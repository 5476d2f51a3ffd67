# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_placement SOURCES unit/placement/test_placement.c LINKS ckpt_placement)
