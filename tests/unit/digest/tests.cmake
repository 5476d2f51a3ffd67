# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_digest_vectors SOURCES unit/digest/test_vectors.c LINKS ckpt_digest)
