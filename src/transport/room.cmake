# SPDX-License-Identifier: Apache-2.0
ckpt_room(transport SOURCES transport.c open.c reads.c label.c loop/loop.c
                            fault/fault.c fault/plan.c
                            ucx/open.c ucx/configure.c ucx/settings.c ucx/log.c ucx/region.c
                            ucx/reader.c ucx/source.c ucx/hosts.c
          LINKS ckpt_base PkgConfig::UCX)
# The header of UCX's log is GNU C since 1.17.
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/ucx/log.c PROPERTIES
                            COMPILE_OPTIONS -std=gnu17)
if(TARGET PkgConfig::VERBS)
  set(verbs_sources verbs/card.c verbs/client.c verbs/endpoint.c verbs/events.c verbs/farewell.c
                    verbs/fault_class.c verbs/gid.c verbs/lane.c verbs/open.c verbs/pair.c
                    verbs/preflight.c verbs/rail.c verbs/rails.c verbs/reader.c verbs/region.c
                    verbs/removal.c verbs/watch.c)
  list(TRANSFORM verbs_sources PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
  target_sources(ckpt_transport PRIVATE ${verbs_sources})
  target_compile_definitions(ckpt_transport PRIVATE CKPT_VERBS=1)
  target_link_libraries(ckpt_transport PUBLIC PkgConfig::VERBS)
endif()
