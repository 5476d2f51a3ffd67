# SPDX-License-Identifier: Apache-2.0
# What outlives memory: checkpoints in a folder or a bucket. It sees how keys and marks are called
# on the wire, and links no codec.
ckpt_room_headers(wire)
ckpt_room(tier SOURCES earlier.c fsck.c list.c manifest.c memory.c name.c pace.c pass.c put.c read.c
                       remove.c root.c row.c sidecar.c sums.c tier.c walk.c whole.c
          LINKS ckpt_base ckpt_digest ckpt_shard ckpt_wire_headers PkgConfig::JANSSON
                Threads::Threads)
