# SPDX-License-Identifier: Apache-2.0
# What outlives memory: checkpoints in a folder or a bucket. It sees how keys and marks are called
# on the wire, and links no codec.
ckpt_room_headers(wire)
set(tier_sources earlier.c errno_class.c fsck.c list.c manifest.c memory.c name.c pace.c pass.c
                 posix.c posix_left.c posix_place.c posix_read.c posix_write.c put.c read.c remove.c
                 ring.c root.c row.c sidecar.c sums.c tier.c walk.c whole.c)
if(S3_FOUND)
  list(APPEND tier_sources s3.c s3_login.c s3_place.c s3_request.c s3_write.c s3_xml.c)
endif()
ckpt_room(tier SOURCES ${tier_sources}
          LINKS ckpt_base ckpt_digest ckpt_shard ckpt_wire_headers PkgConfig::JANSSON
                Threads::Threads)
target_link_libraries(ckpt_tier PRIVATE PkgConfig::URING)
if(S3_FOUND)
  target_link_libraries(ckpt_tier PRIVATE PkgConfig::S3)
  target_compile_definitions(ckpt_tier PUBLIC CKPT_TIER_S3=1)
endif()
