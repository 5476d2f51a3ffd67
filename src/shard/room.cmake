# SPDX-License-Identifier: Apache-2.0
ckpt_room(shard SOURCES dtype.c tensor.c layout.c header.c decode.c index.c
                scan.c utf8.c
          LINKS ckpt_base PkgConfig::JANSSON)
