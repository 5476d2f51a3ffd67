# SPDX-License-Identifier: Apache-2.0
# Tests on real processes. Each starts its own in a directory of its own, on free ports, and ends
# only those.
foreach(program ckptctld ckptd ckptctl client cluster ckptbench install quickstart)
  include(${CMAKE_CURRENT_LIST_DIR}/${program}/tests.cmake OPTIONAL)
endforeach()
