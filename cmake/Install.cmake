# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where. Components: `library` is what a trainer runs with, `fanout`
# what it may link beside that, `dev` what it is built with, `kernels` what it opens where there is
# a GPU (only a build with nvcc has it), `programs` the rest: the daemons in sbin/, what people type
# in bin/.
include(CMakePackageConfigHelpers)
set(CKPT_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ckpt)

install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/ckpt DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT dev FILES_MATCHING PATTERN "*.h")
install(TARGETS ckpt EXPORT ckptTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT dev
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS ckpt_fanout_library
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT fanout NAMELINK_COMPONENT dev)
if(TARGET ckpt_kernels)
  install(FILES ${CKPT_KERNELS_FILE} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT kernels)
endif()
install(EXPORT ckptTargets NAMESPACE ckpt:: DESTINATION ${CKPT_PACKAGE_DIR} COMPONENT dev)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/ckpt-config.cmake.in
  ${CMAKE_BINARY_DIR}/ckpt-config.cmake INSTALL_DESTINATION ${CKPT_PACKAGE_DIR})
# Before 1.0 a minor version may change what is there.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/ckpt-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/ckpt-config.cmake ${CMAKE_BINARY_DIR}/ckpt-config-version.cmake
        DESTINATION ${CKPT_PACKAGE_DIR} COMPONENT dev)

# Paths in ckpt.pc are below the prefix, so that pkg-config can move it, unless the caller gave an
# absolute one.
foreach(kind LIB INCLUDE)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${kind}DIR}")
    set(CKPT_PC_${kind}DIR "${CMAKE_INSTALL_${kind}DIR}")
  else()
    set(CKPT_PC_${kind}DIR "\${prefix}/${CMAKE_INSTALL_${kind}DIR}")
  endif()
endforeach()
foreach(name ckpt ckpt-fanout)
  configure_file(${CMAKE_SOURCE_DIR}/cmake/${name}.pc.in ${CMAKE_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
          COMPONENT dev)
endforeach()

foreach(program ckptd ckptd-orbax-replicator ckptctld ckptctl ckptbench)
  if(NOT TARGET ${program})
    continue()
  endif()
  set(folder ${CMAKE_INSTALL_BINDIR})
  if(program MATCHES "d$|^ckptd-") # what ckptd becomes lies beside it
    set(folder ${CMAKE_INSTALL_SBINDIR})
  endif()
  # In a prefix that the loader does not know, libckpt.so is found all the same. Programs are linked
  # with it: CMake would keep room for it by empty elements, for which the loader takes the folder
  # that somebody is in. Only ckptbench, which links libckpt.so, needs the build's beside it.
  if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" AND NOT CKPT_PACKAGING)
    set(rpath "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
    if(NOT CMAKE_INSTALL_LIBDIR STREQUAL lib)
      list(APPEND rpath "$ORIGIN/../lib")
    endif()
    set_target_properties(${program} PROPERTIES INSTALL_RPATH "${rpath}"
                                                BUILD_WITH_INSTALL_RPATH ON)
  endif()
  install(TARGETS ${program} RUNTIME DESTINATION ${folder} COMPONENT programs)
endforeach()

# What completes command lines, as each program prints it.
foreach(program ckptd ckptctld ckptctl ckptbench)
  if(NOT TARGET ${program})
    continue()
  endif()
  set(made ${CMAKE_BINARY_DIR}/completions)
  file(MAKE_DIRECTORY ${made})
  add_custom_command(OUTPUT ${made}/${program} ${made}/_${program}
    COMMAND ${program} --completions=bash > ${made}/${program}
    COMMAND ${program} --completions=zsh > ${made}/_${program}
    DEPENDS ${program} VERBATIM)
  list(APPEND CKPT_COMPLETIONS_MADE ${made}/${program} ${made}/_${program})
  install(FILES ${made}/${program} COMPONENT programs
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${made}/_${program} COMPONENT programs
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
endforeach()
add_custom_target(completions ALL DEPENDS ${CKPT_COMPLETIONS_MADE})

# What a configuration can say, as each program prints it.
foreach(program ckptd ckptctld ckptctl)
  if(NOT TARGET ${program})
    continue()
  endif()
  set(made ${CMAKE_BINARY_DIR}/examples/${program}.conf)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/examples)
  add_custom_command(OUTPUT ${made} COMMAND ${program} --example-config > ${made}
                     DEPENDS ${program} VERBATIM)
  list(APPEND CKPT_EXAMPLES_MADE ${made})
  install(FILES ${made} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/ckptd/examples
          COMPONENT programs)
endforeach()
add_custom_target(examples ALL DEPENDS ${CKPT_EXAMPLES_MADE})

# The loader finds a library of the system's by its cache. Not below DESTDIR, where a package is
# made: its own script does it where it is unpacked.
install(CODE "
  set(ckpt_libraries \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}\")
  execute_process(COMMAND id -u OUTPUT_VARIABLE ckpt_user OUTPUT_STRIP_TRAILING_WHITESPACE)
  find_program(CKPT_LDCONFIG ldconfig PATHS /sbin /usr/sbin)
  if(\"\$ENV{DESTDIR}\" STREQUAL \"\" AND ckpt_user EQUAL 0 AND CKPT_LDCONFIG
     AND CMAKE_INSTALL_PREFIX MATCHES \"^/usr(/local)?/*\$\")
    message(STATUS \"ldconfig: libckpt.so in \${ckpt_libraries}\")
    execute_process(COMMAND \${CKPT_LDCONFIG})
  endif()
  " COMPONENT library)

# docs/man/<page>.<section>.scd becomes man<section>/<page>.<section>. A page takes its options from
# the programs' --help (cmake/page.sh), so it is made after them and cannot differ from them.
if(SCDOC)
  file(GLOB CKPT_PAGES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/man/*.scd)
  set(CKPT_PAGES_MADE)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/man)
  foreach(source IN LISTS CKPT_PAGES)
    get_filename_component(page ${source} NAME_WLE)
    string(REGEX MATCH "[0-9]$" section ${page})
    set(component programs)
    if(section EQUAL 3)
      set(component dev)
    endif()
    file(STRINGS ${source} lines REGEX "^%")
    set(programs)
    set(missing FALSE)
    foreach(program ckptd ckptctld ckptctl ckptbench)
      if(NOT lines MATCHES "${program}( |;|$)")
        continue()
      endif()
      if(TARGET ${program})
        list(APPEND programs ${program})
      else()
        set(missing TRUE)
      endif()
    endforeach()
    if(missing)
      continue()
    endif()
    set(made ${CMAKE_BINARY_DIR}/man/${page})
    add_custom_command(OUTPUT ${made}
      COMMAND ${CMAKE_SOURCE_DIR}/cmake/page.sh ${SCDOC} ${source} ${CMAKE_BINARY_DIR}/bin ${made}
      DEPENDS ${source} ${CMAKE_SOURCE_DIR}/cmake/page.sh ${CMAKE_SOURCE_DIR}/cmake/help.awk
              ${programs}
      VERBATIM)
    if(CKPT_PACKAGING)
      add_custom_command(OUTPUT ${made}.gz COMMAND gzip -9nkf ${made} DEPENDS ${made} VERBATIM)
      set(made ${made}.gz)
    endif()
    list(APPEND CKPT_PAGES_MADE ${made})
    install(FILES ${made} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
            COMPONENT ${component} OPTIONAL)
  endforeach()
  add_custom_target(man ALL DEPENDS ${CKPT_PAGES_MADE})
endif()
