# SPDX-License-Identifier: Apache-2.0
# Tests on a real Slurm in namespaces: root, slurm-wlm and munge are needed, and they are skipped,
# with the reason, where something is missing.
find_package(Python3 3.9 COMPONENTS Interpreter)

# ckpt_slurm_test(<name> <timeout s> <module>): one cluster; two at once would share two cores.
function(ckpt_slurm_test name timeout module)
  if(NOT CKPT_TESTS OR NOT Python3_FOUND OR CKPT_SANITIZE)
    return()
  endif()
  add_test(NAME slurm_${name}
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/slurm/run.py ${module})
  set_tests_properties(slurm_${name} PROPERTIES
    TIMEOUT ${timeout} SKIP_RETURN_CODE 77 LABELS slurm RESOURCE_LOCK slurm
    ENVIRONMENT "CKPT_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
endfunction()

ckpt_slurm_test(service 400 test_service)
ckpt_slurm_test(per_job 200 test_per_job)
ckpt_slurm_test(site 60 test_site)
