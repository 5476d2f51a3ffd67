# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_arena_open SOURCES unit/arena/test_arena_open.c unit/arena/fixture.c
          LINKS ckpt_arena)
ckpt_test(test_arena_record SOURCES unit/arena/test_arena_record.c unit/arena/fixture.c
          LINKS ckpt_arena)
target_compile_definitions(test_arena_record PRIVATE
  CKPT_SOURCE_TESTS="${CMAKE_SOURCE_DIR}/tests")
ckpt_test(test_arena_crash SOURCES unit/arena/test_arena_crash.c unit/arena/fixture.c
          LINKS ckpt_arena TIMEOUT 300)
ckpt_test(test_arena_guard SOURCES unit/arena/test_arena_guard.c unit/arena/fixture.c
          LINKS ckpt_arena)
ckpt_test(test_arena_parts SOURCES unit/arena/test_arena_parts.c unit/arena/fixture.c
          LINKS ckpt_arena TIMEOUT 300)
ckpt_test(test_arena_values SOURCES unit/arena/test_arena_values.c unit/arena/fixture.c
          LINKS ckpt_arena)
ckpt_test(test_arena_view SOURCES unit/arena/test_arena_view.c unit/arena/fixture.c
          LINKS ckpt_arena)
ckpt_test(test_arena_cgroup SOURCES unit/arena/test_cgroup.c unit/arena/fixture.c
          LINKS ckpt_arena)
ckpt_fuzz(fuzz_slot_record SOURCE fuzz_slot_record.c LINKS ckpt_arena)
