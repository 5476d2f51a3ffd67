# SPDX-License-Identifier: Apache-2.0
# The store keeps the coordinator's records, so it sees the headers that say what they are; it links
# neither the machine nor the codec.
ckpt_room_headers(coordinator)
ckpt_room_headers(wire)
ckpt_room(store SOURCES backend.c direct.c errno_status.c lock.c mark.c medium.c memory.c rules.c
                        shard_blob.c sqlite.c sqlite_call.c sqlite_connect.c sqlite_convert.c
                        sqlite_open.c sqlite_rows.c sqlite_schema.c store.c thread.c
                LINKS ckpt_base ckpt_digest ckpt_coordinator_headers ckpt_wire_headers
                      Threads::Threads)
target_link_libraries(ckpt_store PRIVATE PkgConfig::SQLITE)
