# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_ckptctld_options SOURCES unit/ckptctld/test_options.c LINKS ckpt_ckptctld)
