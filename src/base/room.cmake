# SPDX-License-Identifier: Apache-2.0
ckpt_room(base SOURCES status.c ids.c event.c log.c log_stderr.c crc32c.c prng.c fault_point.c
                  nearest.c rare.c stream_copy.c index_set.c reason.c room.c sizes.c
          LINKS Threads::Threads)
