# SPDX-License-Identifier: Apache-2.0
# The generated code is a library of its own, without our warnings; it is linked PRIVATE, so that no
# other room has protobuf-c on its include path.
set(CKPT_WIRE_GENERATED ${CMAKE_BINARY_DIR}/generated/wire)
file(MAKE_DIRECTORY ${CKPT_WIRE_GENERATED})
add_custom_command(
  OUTPUT ${CKPT_WIRE_GENERATED}/control.pb-c.c ${CKPT_WIRE_GENERATED}/control.pb-c.h
  COMMAND ${PROTOC_C} --proto_path=${CMAKE_CURRENT_LIST_DIR} --c_out=${CKPT_WIRE_GENERATED}
          ${CMAKE_CURRENT_LIST_DIR}/control.proto
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/control.proto
  VERBATIM)
add_library(ckpt_wire_schema STATIC ${CKPT_WIRE_GENERATED}/control.pb-c.c)
target_include_directories(ckpt_wire_schema SYSTEM PUBLIC ${CKPT_WIRE_GENERATED})
target_link_libraries(ckpt_wire_schema PUBLIC PkgConfig::PROTOBUF_C)

ckpt_room(wire SOURCES frame.c stream.c message_codec.c body_encode.c body_decode.c layout.c
                       layout_rank.c layout_agent.c layout_peer.c layout_admin.c
                       layout_job.c layout_tier.c inventory.c
               LINKS ckpt_base ckpt_digest)
target_link_libraries(ckpt_wire PRIVATE ckpt_wire_schema)
