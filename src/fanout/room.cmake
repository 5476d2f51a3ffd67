# SPDX-License-Identifier: Apache-2.0
# ckpt_fanout is for tests and ckptbench; `ckpt_fanout_library` is what trainers link beside
# libckpt: the same objects, with nothing but the public functions to be seen. NCCL and CUDA are
# opened when they are used.
ckpt_room_headers(client)
ckpt_room(fanout
  SOURCES api.c bring.c fetch.c group.c held.c lane.c nccl_call.c nccl_library.c nccl_round.c plan.c
          proof.c road_nccl.c road_sockets.c sockets_thread.c star.c talk.c tcp.c
  LINKS ckpt_base ckpt_digest ckpt_shard ckpt_client_headers Threads::Threads ${CMAKE_DL_LIBS})

add_library(ckpt_fanout_library SHARED $<TARGET_OBJECTS:ckpt_fanout>)
set(CKPT_FANOUT_MAP ${CMAKE_CURRENT_LIST_DIR}/libckpt_fanout.map)
set_target_properties(ckpt_fanout_library PROPERTIES
  OUTPUT_NAME ckpt_fanout VERSION 1.${PROJECT_VERSION_MINOR}.${PROJECT_VERSION_PATCH} SOVERSION 1
  EXPORT_NAME ckpt_fanout LINK_DEPENDS ${CKPT_FANOUT_MAP})
target_link_libraries(ckpt_fanout_library PRIVATE ckpt_flags ckpt_base ckpt_digest ckpt_shard
                                          PUBLIC ckpt)
target_include_directories(ckpt_fanout_library PUBLIC
                           $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>)
# It finds libckpt.so beside it, in a prefix too that the loader does not know.
if(NOT CKPT_PACKAGING)
  set_target_properties(ckpt_fanout_library PROPERTIES INSTALL_RPATH "$ORIGIN"
                                                       BUILD_WITH_INSTALL_RPATH ON)
endif()
target_link_options(ckpt_fanout_library PRIVATE -Wl,--version-script=${CKPT_FANOUT_MAP})
if(NOT CKPT_SANITIZE)
  target_link_options(ckpt_fanout_library PRIVATE -Wl,--no-undefined)
endif()
