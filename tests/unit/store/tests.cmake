# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_store SOURCES unit/store/test_store.c unit/store/fixture.c LINKS ckpt_store)
ckpt_test(test_store_sqlite SOURCES unit/store/test_sqlite.c unit/store/fixture.c
          LINKS ckpt_store PkgConfig::SQLITE)
