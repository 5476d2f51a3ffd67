# SPDX-License-Identifier: Apache-2.0
# Rooms in the order of dependence; each declares itself in its own room.cmake, its unit tests in
# tests/unit/<room>/tests.cmake.
set(CKPT_ROOMS base config digest shard topology wire slurm session placement coordinator agent
               arena transport device mover store tier client fanout replicator daemon
               ckptctld ckptd ckptctl)
foreach(room IN LISTS CKPT_ROOMS)
  include(${CMAKE_SOURCE_DIR}/src/${room}/room.cmake OPTIONAL)
endforeach()
include(${CMAKE_SOURCE_DIR}/kernels/kernels.cmake)
include(${CMAKE_SOURCE_DIR}/bench/bench.cmake OPTIONAL)
if(CKPT_TESTS OR CKPT_FUZZ)
  include(${CMAKE_SOURCE_DIR}/tests/fake_gpu/fake_gpu.cmake)
  foreach(room IN LISTS CKPT_ROOMS)
    include(${CMAKE_SOURCE_DIR}/tests/unit/${room}/tests.cmake OPTIONAL)
  endforeach()
  include(${CMAKE_SOURCE_DIR}/tests/unit/kernels/tests.cmake)
  foreach(suite sim storm integration vm slurm fuzz style)
    include(${CMAKE_SOURCE_DIR}/tests/${suite}/tests.cmake OPTIONAL)
  endforeach()
  include(${CMAKE_SOURCE_DIR}/tests/threads.cmake)
endif()
