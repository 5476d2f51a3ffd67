# SPDX-License-Identifier: Apache-2.0
set(digest_sources digest.c engine.c fingerprint.c key.c nh_scalar.c poly1305.c scalar.c stream.c
                   tree.c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  list(APPEND digest_sources sse41.c avx2.c avx512.c nh_sse41.c nh_avx2.c nh_avx512.c
                             poly1305_avx2.c)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  list(APPEND digest_sources neon.c nh_neon.c)
endif()
ckpt_room(digest SOURCES ${digest_sources} LINKS ckpt_base)

# Each engine is compiled for its own instructions and chosen at run time. The inner loops are
# optimised in every preset: without, a vector engine is a hundred times slower than the scalar one.
# Their order is written by hand, so the compiler is told to leave it (docs/digest.md).
function(digest_source_options file)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/digest/${file}
                              PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()
set(digest_in_order $<$<C_COMPILER_ID:GNU>:-fno-schedule-insns2>)
set(digest_one_by_one ${digest_in_order} $<$<C_COMPILER_ID:GNU>:-fno-tree-ter>)
digest_source_options(scalar.c -O2)
digest_source_options(sse41.c -O3 -msse4.1 ${digest_one_by_one})
digest_source_options(avx2.c -O3 -mavx2 ${digest_one_by_one})
digest_source_options(avx512.c -O3 -mavx512f -mavx512vl -mavx2 ${digest_in_order})
digest_source_options(neon.c -O3)
foreach(source fingerprint nh_scalar nh_neon poly1305)
  digest_source_options(${source}.c -O3)
endforeach()
digest_source_options(nh_sse41.c -O3 -msse4.1)
digest_source_options(nh_avx2.c -O3 -mavx2)
digest_source_options(nh_avx512.c -O3 -mavx512f)
digest_source_options(poly1305_avx2.c -O3 -mavx2)
