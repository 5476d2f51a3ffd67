# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_transport_label SOURCES unit/transport/test_label.c LINKS ckpt_transport)
ckpt_test(test_transport_open SOURCES unit/transport/test_open.c LINKS ckpt_transport)
ckpt_test(test_transport_loop SOURCES unit/transport/test_loop.c unit/transport/suite.c
          LINKS ckpt_transport)
