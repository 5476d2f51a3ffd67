# SPDX-License-Identifier: Apache-2.0
# The commit is looked up at each build, and what depends on it is compiled anew only when it
# changed.
set(ckptbench_generated ${CMAKE_BINARY_DIR}/ckptbench)
add_custom_target(ckptbench_commit
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DHEADER=${ckptbench_generated}/commit.h
          -P ${CMAKE_SOURCE_DIR}/bench/ckptbench/commit.cmake
  BYPRODUCTS ${ckptbench_generated}/commit.h COMMENT "")

ckpt_program(ckptbench DIR bench/ckptbench
  SOURCES main.c axis.c bars.c belongings.c beside.c buffer.c case_cycle.c case_digest.c case_plot.c
          case_rails.c case_raw.c case_register.c case_scale.c case_serve.c case_source.c chart.c
          chart_draw.c cluster.c control.c control_socket.c copy.c cycle.c environment.c fleet.c
          latency.c nics.c numbers.c plot_cycle.c plot_more.c plot_raw.c progress.c rail_list.c
          ranks.c raw.c raw_peer.c report.c report_files.c report_table.c result.c samples.c self.c
          source.c spec.c svg.c sweep.c
  LINKS ckpt ckpt_base ckpt_config ckpt_coordinator ckpt_digest ckpt_session ckpt_topology
        ckpt_transport PkgConfig::JANSSON Threads::Threads m)
add_dependencies(ckptbench ckptbench_commit)
target_include_directories(ckptbench PRIVATE ${ckptbench_generated})
set_source_files_properties(${CMAKE_SOURCE_DIR}/bench/ckptbench/environment.c PROPERTIES
  COMPILE_DEFINITIONS "CKPTBENCH_UCX=\"${UCX_VERSION}\";CKPTBENCH_BUILD=\"${CMAKE_BUILD_TYPE}\"")
