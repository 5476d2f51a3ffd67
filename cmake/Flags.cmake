# SPDX-License-Identifier: Apache-2.0
# One interface target carries the flags of our own code; generated code does not link it.
add_library(ckpt_flags INTERFACE)
target_compile_definitions(ckpt_flags INTERFACE _GNU_SOURCE CKPT_VERSION="${PROJECT_VERSION}")
target_compile_options(ckpt_flags INTERFACE
  -Wall -Wextra -Wshadow -Wformat=2 -Wimplicit-fallthrough
  $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum
                          -Wvla -Wpointer-arith>
  -fno-strict-aliasing -fstack-protector-strong)
if(CKPT_WERROR)
  target_compile_options(ckpt_flags INTERFACE -Werror)
endif()
if(CKPT_FAULT_POINTS)
  target_compile_definitions(ckpt_flags INTERFACE CKPT_FAULT_POINTS=1)
endif()
if(CKPT_SANITIZE)
  add_compile_options(-fsanitize=${CKPT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  string(REPLACE ",fuzzer-no-link" "" link_sanitize "${CKPT_SANITIZE}")
  add_link_options(-fsanitize=${link_sanitize})
elseif(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_definitions(ckpt_flags INTERFACE _FORTIFY_SOURCE=2)
  add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,--as-needed)
endif()
