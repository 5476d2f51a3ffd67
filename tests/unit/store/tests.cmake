# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_store SOURCES unit/store/test_store.c unit/store/fixture.c LINKS ckpt_store)
ckpt_test(test_store_calls SOURCES unit/store/test_calls.c unit/store/fixture.c LINKS ckpt_store
          LABELS threads)
ckpt_test(test_store_sqlite SOURCES unit/store/test_sqlite.c unit/store/files.c unit/store/fixture.c
          LINKS ckpt_store PkgConfig::SQLITE)
ckpt_test(test_store_keys SOURCES unit/store/test_keys.c unit/store/files.c unit/store/fixture.c
          LINKS ckpt_store PkgConfig::SQLITE)
ckpt_test(test_store_age SOURCES unit/store/test_age.c unit/store/fixture.c
          LINKS ckpt_store PkgConfig::SQLITE TIMEOUT 900)
foreach(noun sqlite keys age)
  target_compile_definitions(test_store_${noun}
                             PRIVATE GOLDEN_DIR="${CMAKE_CURRENT_LIST_DIR}/golden")
endforeach()
