# SPDX-License-Identifier: Apache-2.0
# The pure rooms reach for nothing outside. Sanitizers add symbols of their own, so plain builds
# only.
if(CKPT_TESTS AND NOT CKPT_SANITIZE)
  foreach(room agent coordinator)
    if(TARGET ckpt_${room})
      add_test(NAME style_pure_${room}
               COMMAND ${CMAKE_SOURCE_DIR}/tests/style/pure_symbols.sh $<TARGET_FILE:ckpt_${room}>
                       -- $<TARGET_FILE:ckpt_placement> $<TARGET_FILE:ckpt_wire>
                          $<TARGET_FILE:ckpt_digest> $<TARGET_FILE:ckpt_base>)
      set_tests_properties(style_pure_${room} PROPERTIES LABELS style)
    endif()
  endforeach()
  # It can fail: base reads the clock.
  add_test(NAME style_pure_finds_impure
           COMMAND ${CMAKE_SOURCE_DIR}/tests/style/pure_symbols.sh $<TARGET_FILE:ckpt_base>)
  set_tests_properties(style_pure_finds_impure PROPERTIES LABELS style WILL_FAIL TRUE)
endif()

# What a file may look like, and that each of these rules can fail.
find_program(PYTHON3 NAMES python3)
if(CKPT_TESTS AND PYTHON3)
  add_test(NAME style_tidy COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/tidy.py)
  add_test(NAME style_tidy_finds
           COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/tidy.py --self-test)
  set_tests_properties(style_tidy style_tidy_finds PROPERTIES LABELS style)
endif()

# Each room is a stair, and each of these rules can fail.
if(CKPT_TESTS AND PYTHON3)
  add_test(NAME style_stairs COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/stairs.py)
  add_test(NAME style_stairs_finds
           COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/stairs.py --self-test)
  set_tests_properties(style_stairs style_stairs_finds PROPERTIES LABELS style)
endif()

# Nothing long is written twice, and that can fail.
if(CKPT_TESTS AND PYTHON3)
  add_test(NAME style_alike COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/alike.py)
  add_test(NAME style_alike_finds
           COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/alike.py --self-test)
  set_tests_properties(style_alike style_alike_finds PROPERTIES LABELS style)
endif()

# How much the pure rooms assert, and that too little is found.
if(CKPT_TESTS AND PYTHON3)
  add_test(NAME style_asserts COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/asserts.py)
  add_test(NAME style_asserts_finds
           COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/asserts.py --self-test)
  set_tests_properties(style_asserts style_asserts_finds PROPERTIES LABELS style)
endif()

# What the service manager is told, and that each of these rules can fail.
if(CKPT_TESTS AND PYTHON3)
  add_test(NAME style_units COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/units.py)
  add_test(NAME style_units_finds
           COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/units.py --self-test)
  set_tests_properties(style_units style_units_finds PROPERTIES LABELS style)
endif()

# Every page is linked, every link goes somewhere, and both can fail.
if(CKPT_TESTS AND PYTHON3)
  add_test(NAME style_links COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/links.py)
  add_test(NAME style_links_finds
           COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/style/links.py --self-test)
  set_tests_properties(style_links style_links_finds PROPERTIES LABELS style)
endif()

# Man pages say what the programs say (made by cmake/Install.cmake).
if(CKPT_TESTS AND SCDOC)
  add_test(NAME style_pages COMMAND ${CMAKE_SOURCE_DIR}/tests/style/pages.sh
                                    ${CMAKE_BINARY_DIR}/man ${CMAKE_BINARY_DIR}/bin)
  set_tests_properties(style_pages PROPERTIES LABELS style SKIP_RETURN_CODE 77)
endif()

# The page of events is what the sources say, and that each of these rules can fail.
if(CKPT_TESTS AND PYTHON3)
  add_test(NAME style_events COMMAND ${PYTHON3} -B ${CMAKE_SOURCE_DIR}/tests/style/events.py)
  add_test(NAME style_events_finds
           COMMAND ${PYTHON3} -B ${CMAKE_SOURCE_DIR}/tests/style/events.py --self-test)
  set_tests_properties(style_events style_events_finds PROPERTIES LABELS style)
endif()

# Programs and the library find each other without the folder that somebody is in.
if(CKPT_TESTS)
  set(linked)
  foreach(target ckpt ckpt_fanout_library ckptd ckptctld ckptctl ckptbench)
    if(TARGET ${target})
      list(APPEND linked $<TARGET_FILE:${target}>)
    endif()
  endforeach()
  add_test(NAME style_runpaths COMMAND ${CMAKE_SOURCE_DIR}/tests/style/runpaths.sh ${linked})
  set_tests_properties(style_runpaths PROPERTIES LABELS style)
endif()

# CUDA, NCCL and the kernels are opened by the trainer's side. ckptctl is no daemon: its import is a
# run's ranks, and has libckpt inside, which opens them for a GPU's tensors alone.
if(CKPT_TESTS)
  set(daemons)
  foreach(target ckptd ckptctld ckptd-orbax-replicator)
    if(TARGET ${target})
      list(APPEND daemons $<TARGET_FILE:${target}>)
    endif()
  endforeach()
  set(apart libcuda,libnccl,libckpt_kernels,libckpt_fanout)
  add_test(NAME style_apart COMMAND ${CMAKE_SOURCE_DIR}/tests/style/apart.sh ${apart} ${daemons})
  add_test(NAME style_apart_finds_linked
           COMMAND ${CMAKE_SOURCE_DIR}/tests/style/apart.sh libc.so $<TARGET_FILE:ckptd>)
  add_test(NAME style_apart_finds_named
           COMMAND ${CMAKE_SOURCE_DIR}/tests/style/apart.sh ckptd: $<TARGET_FILE:ckptd>)
  set_tests_properties(style_apart style_apart_finds_linked style_apart_finds_named
                       PROPERTIES LABELS style)
  set_tests_properties(style_apart_finds_linked style_apart_finds_named PROPERTIES WILL_FAIL TRUE)
endif()
