# SPDX-License-Identifier: Apache-2.0
# The commit is looked up at each build, and what depends on it is compiled anew only when it
# changed.
set(ckptbench_generated ${CMAKE_BINARY_DIR}/ckptbench)
add_custom_target(ckptbench_commit
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DHEADER=${ckptbench_generated}/commit.h
          -P ${CMAKE_SOURCE_DIR}/bench/ckptbench/commit.cmake
  BYPRODUCTS ${ckptbench_generated}/commit.h COMMENT "")

# Six rooms, and a case a file beside them.
ckpt_room(bench_process FROM bench/ckptbench DIR process
  SOURCES belongings.c child_log.c complain.c progress.c self.c
  LINKS ckpt_base)
ckpt_room(bench_memory FROM bench/ckptbench DIR memory
  SOURCES buffer.c copy.c
  LINKS ckpt_bench_process ckpt_base)
ckpt_room(bench_report FROM bench/ckptbench DIR report
  SOURCES busy.c environment.c latency.c nics.c report.c report_files.c report_table.c result.c
          samples.c targets.c
  LINKS ckpt_bench_process ckpt_base ckpt_transport PkgConfig::JANSSON)
ckpt_room(bench_raw FROM bench/ckptbench DIR raw
  SOURCES beside.c control.c control_socket.c rail_list.c raw.c raw_peer.c source.c spec.c sweep.c
  LINKS ckpt_bench_process ckpt_bench_memory ckpt_bench_report ckpt_config ckpt_device ckpt_session
        ckpt_topology ckpt_transport)
ckpt_room(bench_cluster FROM bench/ckptbench DIR cluster
  SOURCES cluster.c cycle.c fleet.c ranks.c real_agent.c real_coordinator.c real_fleet.c
          real_parcels.c
  LINKS ckpt_bench_raw ckpt ckpt_agent ckpt_coordinator ckpt_session)
ckpt_room(bench_plot FROM bench/ckptbench DIR plot
  SOURCES axis.c chart.c chart_draw.c plot_cycle.c plot_more.c plot_raw.c svg.c
  LINKS ckpt_bench_report m)

ckpt_program(ckptbench DIR bench/ckptbench
  SOURCES main.c case.c case_cycle.c case_digest.c case_drain.c case_fanout.c case_fanout_group.c
          case_kernels.c case_kernels_gpu.c case_kernels_prove.c case_kernels_roofline.c
          case_kernels_work.c case_plot.c case_rails.c case_raw.c case_register.c case_scale.c
          case_scale_real.c case_serve.c case_source.c numbers.c
  LINKS ckpt_bench_cluster ckpt_bench_plot ckpt_config ckpt_device ckpt_digest ckpt_fanout
        ckpt_tier m)
add_dependencies(ckpt_bench_report ckptbench_commit)
target_include_directories(ckpt_bench_report PRIVATE ${ckptbench_generated})
set_source_files_properties(${CMAKE_SOURCE_DIR}/bench/ckptbench/report/environment.c PROPERTIES
  COMPILE_DEFINITIONS "CKPTBENCH_BUILD=\"${CMAKE_BUILD_TYPE}\"")
