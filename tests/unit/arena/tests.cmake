# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_arena_open SOURCES unit/arena/test_arena_open.c unit/arena/fixture.c LINKS ckpt_arena)
