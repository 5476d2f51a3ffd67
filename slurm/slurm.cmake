# SPDX-License-Identifier: Apache-2.0
# What a Slurm site installs beside the programs: hooks, units, the optional SPANK plugin.
set(CKPT_UNIT_DIR lib/systemd/system CACHE PATH "Where systemd units go, below the prefix")
set(CKPT_SITE_FILES prolog.d/50-ckptd epilog.d/50-ckptd task_prolog)
foreach(file IN LISTS CKPT_SITE_FILES)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${file}.in ${CMAKE_BINARY_DIR}/slurm/${file} @ONLY
                 USE_SOURCE_PERMISSIONS)
  get_filename_component(folder ${file} DIRECTORY)
  install(PROGRAMS ${CMAKE_BINARY_DIR}/slurm/${file} DESTINATION ${CKPT_HOOKDIR}/${folder}
          COMPONENT programs)
endforeach()
foreach(unit ckptd ckptctld)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/systemd/${unit}.service.in
                 ${CMAKE_BINARY_DIR}/systemd/${unit}.service @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/systemd/${unit}.service DESTINATION ${CKPT_UNIT_DIR}
          COMPONENT programs)
endforeach()
install(FILES ${CMAKE_CURRENT_LIST_DIR}/systemd/ckptd.sysusers.conf DESTINATION lib/sysusers.d
        RENAME ckptd.conf COMPONENT programs)

install(FILES ${CMAKE_CURRENT_LIST_DIR}/examples/ckptd.conf
              ${CMAKE_CURRENT_LIST_DIR}/examples/ckptctl.conf
              ${CMAKE_CURRENT_LIST_DIR}/examples/train.sbatch ${CMAKE_CURRENT_LIST_DIR}/README.md
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/ckptd/slurm COMPONENT programs)

# The plugin is of one major version of Slurm, so it is built where that is.
find_path(CKPT_SPANK_INCLUDE slurm/spank.h)
if(CKPT_SPANK_INCLUDE AND CKPT_OPTIONAL)
  add_library(spank_ckpt MODULE ${CMAKE_CURRENT_LIST_DIR}/spank/spank_ckpt.c)
  set_target_properties(spank_ckpt PROPERTIES PREFIX "" C_VISIBILITY_PRESET default)
  target_link_options(spank_ckpt PRIVATE
    -Wl,--version-script=${CMAKE_CURRENT_LIST_DIR}/spank/spank_ckpt.map)
  set_property(TARGET spank_ckpt APPEND PROPERTY
               LINK_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/spank/spank_ckpt.map)
  # slurm.h has a sizeless array at the end of a struct, and no more warnings than that are ours.
  target_include_directories(spank_ckpt SYSTEM PRIVATE ${CKPT_SPANK_INCLUDE})
  target_link_libraries(spank_ckpt PRIVATE ckpt_flags)
  install(TARGETS spank_ckpt LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/slurm COMPONENT spank)
endif()
