# SPDX-License-Identifier: Apache-2.0
set(digest_sources digest.c engine.c scalar.c stream.c tree.c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  list(APPEND digest_sources sse41.c avx2.c avx512.c)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  list(APPEND digest_sources neon.c)
endif()
ckpt_room(digest SOURCES ${digest_sources} LINKS ckpt_base)

# Each engine is compiled for its own instructions and chosen at run time. The inner loops are
# optimised in every preset: without, a vector engine is a hundred times slower than the scalar one.
function(digest_source_options file)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/digest/${file}
                              PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()
digest_source_options(scalar.c -O2)
digest_source_options(sse41.c -O2 -msse4.1)
digest_source_options(avx2.c -O2 -mavx2)
digest_source_options(avx512.c -O2 -mavx512f -mavx512vl -mavx2)
digest_source_options(neon.c -O2)
