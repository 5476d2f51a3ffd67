# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_wire_frame SOURCES unit/wire/test_frame.c LINKS ckpt_wire)
ckpt_test(test_wire_key SOURCES unit/wire/test_key.c LINKS ckpt_wire)
ckpt_test(test_wire_inventory SOURCES unit/wire/test_inventory.c LINKS ckpt_wire)
ckpt_test(test_wire_stream SOURCES unit/wire/test_stream.c LINKS ckpt_wire)
foreach(noun layout codec bounds golden)
  ckpt_test(test_wire_${noun} SOURCES unit/wire/test_${noun}.c unit/wire/sample.c
            LINKS ckpt_wire ckpt_wire_schema)
endforeach()
if(CKPT_TESTS)
  target_compile_definitions(test_wire_golden
                             PRIVATE GOLDEN_DIR="${CMAKE_CURRENT_LIST_DIR}/golden")
endif()
ckpt_fuzz(fuzz_frame SOURCE fuzz_frame.c LINKS ckpt_wire)
ckpt_fuzz(fuzz_message SOURCE fuzz_message.c LINKS ckpt_wire)
