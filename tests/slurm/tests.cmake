# SPDX-License-Identifier: Apache-2.0
# Tests on a real Slurm in namespaces: root, slurm-wlm and munge are needed, and they are skipped,
# with the reason, where something is missing.
find_package(Python3 3.9 COMPONENTS Interpreter)

# ckpt_slurm_test(<name> <timeout s> <module> [<root>]): one cluster, of this machine's Slurm or of
# that in a root of build/roots (scripts/debian_root.sh); one at a time of each: they mostly wait.
function(ckpt_slurm_test name timeout module)
  if(NOT CKPT_TESTS OR NOT Python3_FOUND OR CKPT_SANITIZE)
    return()
  endif()
  set(environment "CKPT_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  if(ARGC GREATER 3)
    list(APPEND environment "CKPT_SLURM_ROOT=${CMAKE_SOURCE_DIR}/build/roots/${ARGV3}")
  endif()
  add_test(NAME slurm_${name}
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/slurm/run.py ${module})
  set_tests_properties(slurm_${name} PROPERTIES
    TIMEOUT ${timeout} SKIP_RETURN_CODE 77 LABELS slurm RESOURCE_LOCK "slurm_${ARGV3}"
    ENVIRONMENT "${environment}")
endfunction()

ckpt_slurm_test(service 400 test_service)
ckpt_slurm_test(requeue 300 test_requeue)
ckpt_slurm_test(per_job 200 test_per_job)
ckpt_slurm_test(site 60 test_site)

# Debian 13's: 24.11. The service as a whole is a stage of soak.sh.
ckpt_slurm_test(24_service 400 test_service trixie)
ckpt_slurm_test(24_requeue 300 test_requeue trixie)
ckpt_slurm_test(24_per_job 200 test_per_job trixie)
