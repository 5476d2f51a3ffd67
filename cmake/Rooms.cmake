# SPDX-License-Identifier: Apache-2.0
#
# A room is one folder of src/, one noun, one static library. What it may see is what it links:
# a room's headers are reached as "<room>/<file>.h" through a link farm that only the rooms named
# in LINKS put on the include path.

# ckpt_room(<name> [FROM <folder>] [DIR <folder>] SOURCES <file>... [LINKS <room or library>...])
# DIR is the folder below FROM (default: src, and <name>). The library target is ckpt_<name>.
function(ckpt_room name)
  cmake_parse_arguments(ROOM "" "FROM;DIR" "SOURCES;LINKS" ${ARGN})
  if(NOT ROOM_FROM)
    set(ROOM_FROM src)
  endif()
  if(NOT ROOM_DIR)
    set(ROOM_DIR ${name})
  endif()
  set(farm ${CMAKE_BINARY_DIR}/rooms/${name})
  get_filename_component(parent ${farm}/${ROOM_DIR} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${ROOM_FROM}/${ROOM_DIR} ${farm}/${ROOM_DIR} SYMBOLIC)
  list(TRANSFORM ROOM_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/${ROOM_FROM}/${ROOM_DIR}/)
  add_library(ckpt_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(ckpt_${name} PUBLIC ${farm})
  target_link_libraries(ckpt_${name} PUBLIC ckpt_flags ckpt_public_headers ${ROOM_LINKS})
endfunction()

# ckpt_room_headers(<name>): the target ckpt_<name>_headers, for a room that needs another's structs
# but must not link its code. It puts the headers of src/<name> alone on the include path.
function(ckpt_room_headers name)
  if(TARGET ckpt_${name}_headers)
    return()
  endif()
  set(farm ${CMAKE_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${farm})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${name} ${farm}/${name} SYMBOLIC)
  add_library(ckpt_${name}_headers INTERFACE)
  target_include_directories(ckpt_${name}_headers INTERFACE ${farm})
endfunction()

# ckpt_program(<name> [DIR <folder>] SOURCES main.c <file>... [LINKS ...]): an executable in bin/.
# One of src/ is a room and main.c alone, so that a unit test links ckpt_<name> as any other room.
function(ckpt_program name)
  cmake_parse_arguments(PROGRAM "" "DIR" "SOURCES;LINKS" ${ARGN})
  if(NOT PROGRAM_DIR)
    set(PROGRAM_DIR src/${name})
  endif()
  if(PROGRAM_DIR MATCHES "^src/(.*)")
    list(REMOVE_ITEM PROGRAM_SOURCES main.c)
    ckpt_room(${name} DIR ${CMAKE_MATCH_1} SOURCES ${PROGRAM_SOURCES} LINKS ${PROGRAM_LINKS})
    set(PROGRAM_SOURCES main.c)
    set(PROGRAM_LINKS ckpt_${name})
  endif()
  list(TRANSFORM PROGRAM_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/${PROGRAM_DIR}/)
  add_executable(${name} ${PROGRAM_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/${PROGRAM_DIR})
  target_link_libraries(${name} PRIVATE ckpt_flags ckpt_public_headers ${PROGRAM_LINKS})
endfunction()

# ckpt_test(<name> SOURCES <file>... [LINKS ...] [LABELS ...] [TIMEOUT s]): a cmocka test.
# Paths are relative to tests/. Needs no argument, no network but loopback, no state.
function(ckpt_test name)
  if(NOT CKPT_TESTS)
    return()
  endif()
  cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  list(TRANSFORM TEST_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/tests/)
  add_executable(${name} ${TEST_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ckpt_flags ckpt_public_headers ${TEST_LINKS}
                                        PkgConfig::CMOCKA)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  if(CKPT_SANITIZE) # which costs up to six times the processor
    math(EXPR TEST_TIMEOUT "${TEST_TIMEOUT} * 6")
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${TEST_TIMEOUT} SKIP_RETURN_CODE 77
                                          LABELS "unit;${TEST_LABELS}")
endfunction()

# ckpt_fuzz(<name> SOURCE <file> LINKS ...): a libFuzzer target tests/fuzz/<file>, corpus
# tests/fuzz/corpus/<name>. Built only by the fuzz preset.
function(ckpt_fuzz name)
  if(NOT CKPT_FUZZ)
    return()
  endif()
  cmake_parse_arguments(FUZZ "" "SOURCE" "LINKS" ${ARGN})
  add_executable(${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/${FUZZ_SOURCE})
  target_link_libraries(${name} PRIVATE ckpt_flags ckpt_public_headers ${FUZZ_LINKS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()
