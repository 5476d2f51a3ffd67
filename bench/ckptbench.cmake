# SPDX-License-Identifier: Apache-2.0
# The commit is looked up at each build, and what depends on it is compiled anew only when it
# changed.
set(ckptbench_generated ${CMAKE_BINARY_DIR}/ckptbench)
add_custom_target(ckptbench_commit
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DHEADER=${ckptbench_generated}/commit.h
          -P ${CMAKE_SOURCE_DIR}/bench/ckptbench/commit.cmake
  BYPRODUCTS ${ckptbench_generated}/commit.h COMMENT "")

# GPU memory for ckptbench raw: the header alone is needed, the driver's library is opened at run
# time. cuMemGetHandleForAddressRange came with CUDA 11.7.
set(ckptbench_gpu gpu_memory_none.c)
if(CKPT_OPTIONAL)
  find_path(CUDA_HEADER_DIR cuda.h HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda
            PATH_SUFFIXES include)
  if(CUDA_HEADER_DIR)
    file(STRINGS ${CUDA_HEADER_DIR}/cuda.h cuda_version REGEX "^#define CUDA_VERSION [0-9]+")
    string(REGEX REPLACE "[^0-9]" "" cuda_version "${cuda_version}")
    if(cuda_version GREATER_EQUAL 11070)
      set(ckptbench_gpu gpu_memory.c)
    endif()
  endif()
  message(STATUS "optional: cuda.h           ${cuda_version}")
endif()

ckpt_program(ckptbench DIR bench/ckptbench
  SOURCES main.c axis.c belongings.c beside.c buffer.c busy.c case_cycle.c case_digest.c
          case_plot.c case_rails.c case_raw.c case_register.c case_scale.c case_scale_real.c
          case_serve.c case_source.c chart.c chart_draw.c cluster.c control.c control_socket.c
          copy.c cycle.c environment.c fleet.c ${ckptbench_gpu} latency.c nics.c numbers.c
          plot_cycle.c plot_more.c plot_raw.c progress.c rail_list.c ranks.c raw.c raw_peer.c
          real_agent.c real_coordinator.c real_fleet.c report.c report_files.c report_table.c
          result.c samples.c self.c source.c spec.c svg.c sweep.c targets.c
  LINKS ckpt ckpt_agent ckpt_base ckpt_config ckpt_coordinator ckpt_digest ckpt_session
        ckpt_topology ckpt_transport PkgConfig::JANSSON Threads::Threads ${CMAKE_DL_LIBS} m)
add_dependencies(ckptbench ckptbench_commit)
target_include_directories(ckptbench PRIVATE ${ckptbench_generated})
if(ckptbench_gpu STREQUAL gpu_memory.c)
  target_include_directories(ckptbench SYSTEM PRIVATE ${CUDA_HEADER_DIR})
endif()
set_source_files_properties(${CMAKE_SOURCE_DIR}/bench/ckptbench/environment.c PROPERTIES
  COMPILE_DEFINITIONS "CKPTBENCH_BUILD=\"${CMAKE_BUILD_TYPE}\"")
