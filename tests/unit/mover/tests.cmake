# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_mover SOURCES unit/mover/test_mover.c unit/mover/fixture.c LINKS ckpt_mover
          LABELS threads)
