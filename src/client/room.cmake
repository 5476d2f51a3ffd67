# SPDX-License-Identifier: Apache-2.0
# ckpt_client is for tests; `ckpt` is what trainers link: the same objects, with nothing but the
# public functions to be seen.
ckpt_room(client
  SOURCES context.c open.c rank.c start_name.c agent_link.c save.c prepare.c replica.c gather.c
          device.c device_load.c gpu.c stage.c copy.c
          mappings.c saves.c wait.c tier_word.c wait_persisted.c info.c loan.c indexes.c load.c
          range.c tensors.c fork.c
  LINKS ckpt_base ckpt_wire ckpt_shard ckpt_digest ckpt_device ckpt_arena_view Threads::Threads)

add_library(ckpt SHARED $<TARGET_OBJECTS:ckpt_client>)
set(CKPT_MAP ${CMAKE_CURRENT_LIST_DIR}/libckpt.map)
set_target_properties(ckpt PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${CKPT_MAP})
target_link_libraries(ckpt PRIVATE ckpt_flags ckpt_base ckpt_wire ckpt_shard ckpt_digest ckpt_device
                                   ckpt_arena_view)
target_include_directories(ckpt PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>)
target_link_options(ckpt PRIVATE -Wl,--version-script=${CKPT_MAP})
if(NOT CKPT_SANITIZE)
  target_link_options(ckpt PRIVATE -Wl,--no-undefined)
endif()

# The example of docs/c-api.md, which has nothing but the public header and the shared library.
add_executable(ckpt-example-trainer ${CMAKE_SOURCE_DIR}/docs/examples/trainer.c)
target_link_libraries(ckpt-example-trainer PRIVATE ckpt_flags ckpt m)
