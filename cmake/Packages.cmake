# SPDX-License-Identifier: Apache-2.0
# `make packages`: Debian packages by CPack, of the components of Install.cmake. With
# -DCKPT_PACKAGING=ON, by which the prefix is /usr, nothing has a RUNPATH, and what policy asks of a
# package is there. scripts/packages.sh builds them and what is no Debian package.
if(NOT CKPT_PACKAGING)
  return()
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ckptd)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The ckptd maintainers <ckptd@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL library fanout dev programs python doc)
if(TARGET ckpt_kernels)
  list(APPEND CPACK_COMPONENTS_ALL kernels)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# ckpt_debian(<component> <package> <section> DEPENDS <text> ABOUT <line> LINES <line>...)
function(ckpt_debian component package section)
  cmake_parse_arguments(DEB "" "DEPENDS;ABOUT" "LINES" ${ARGN})
  string(TOUPPER ${component} key)
  list(JOIN DEB_LINES "\n" lines)
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${package} PARENT_SCOPE)
  set(CPACK_DEBIAN_${key}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_DEBIAN_${key}_PACKAGE_DEPENDS "${DEB_DEPENDS}" PARENT_SCOPE)
  set(CPACK_COMPONENT_${key}_DESCRIPTION "${DEB_ABOUT}\n${lines}" PARENT_SCOPE)
  install(FILES ${CMAKE_SOURCE_DIR}/packaging/copyright
          DESTINATION share/doc/${package} COMPONENT ${component})
  install(FILES ${CMAKE_BINARY_DIR}/packaging/changelog.gz
          DESTINATION share/doc/${package} COMPONENT ${component})
endfunction()

set(about
  "ckptd keeps each rank's newest checkpoint of a training job in the pinned"
  "memory of two nodes at least, proven equal by digest, and gives it back."
  ".")
ckpt_debian(library libckpt0 libs ABOUT "checkpoints in the memory of two nodes, library"
  LINES ${about} "This is the library that a training process saves and loads by.")
ckpt_debian(fanout libckpt-fanout1 libs DEPENDS "libckpt0 (= ${PROJECT_VERSION})"
  ABOUT "checkpoints in the memory of two nodes, one pull for many ranks"
  LINES ${about} "This is the library by which ranks that need the same bytes pull them once.")
if(TARGET ckpt_kernels)
  ckpt_debian(kernels libckpt-kernels1 libs ABOUT "checkpoints in the memory of two nodes, on GPUs"
    LINES ${about} "This is what libckpt opens where tensors are on a GPU.")
endif()
ckpt_debian(dev libckpt-dev libdevel
  DEPENDS "libckpt0 (= ${PROJECT_VERSION}), libckpt-fanout1 (= ${PROJECT_VERSION})"
  ABOUT "checkpoints in the memory of two nodes, to build with"
  LINES ${about} "This has the headers, and what pkg-config and CMake find.")
ckpt_debian(programs ckptd net DEPENDS "libckpt0 (= ${PROJECT_VERSION})"
  ABOUT "checkpoints in the memory of two nodes, daemons and tools"
  LINES ${about} "This has the agent, the coordinator, ckptctl, ckptbench, systemd units and"
        "the hooks of Slurm.")
ckpt_debian(python python3-ckptd python
  DEPENDS "libckpt0 (= ${PROJECT_VERSION}), python3 (>= 3.9), python3-cffi"
  ABOUT "checkpoints in the memory of two nodes, for Python"
  LINES ${about} "This is the package for PyTorch and JAX.")
ckpt_debian(doc ckptd-doc doc ABOUT "checkpoints in the memory of two nodes, documentation"
  LINES ${about} "This has the documentation.")
set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DOC_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/triggers)
set(CPACK_DEBIAN_FANOUT_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/triggers)
set(CPACK_DEBIAN_KERNELS_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/triggers)
set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/python/prerm)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_CONTROL_EXTRA
  "${CMAKE_SOURCE_DIR}/packaging/postinst;${CMAKE_SOURCE_DIR}/packaging/postrm")

configure_file(${CMAKE_SOURCE_DIR}/packaging/changelog.in
               ${CMAKE_BINARY_DIR}/packaging/changelog @ONLY)
execute_process(COMMAND gzip -9nkf ${CMAKE_BINARY_DIR}/packaging/changelog
                COMMAND_ERROR_IS_FATAL ANY)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/python/ckptd DESTINATION lib/python3/dist-packages
        COMPONENT python FILES_MATCHING PATTERN "*.py" PATTERN "py.typed"
        PATTERN "__pycache__" EXCLUDE)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION share/doc/ckptd-doc COMPONENT doc
        PATTERN "man" EXCLUDE)
install(FILES ${CMAKE_SOURCE_DIR}/README.md DESTINATION share/doc/ckptd-doc COMPONENT doc)
include(CPack)
