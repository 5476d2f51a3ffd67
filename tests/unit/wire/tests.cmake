# SPDX-License-Identifier: Apache-2.0
foreach(noun codec)
  ckpt_test(test_wire_${noun} SOURCES unit/wire/test_${noun}.c unit/wire/sample.c
            LINKS ckpt_wire ckpt_wire_schema)
endforeach()
