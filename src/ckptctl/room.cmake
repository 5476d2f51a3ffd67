# SPDX-License-Identifier: Apache-2.0
ckpt_program(ckptctl
  SOURCES main.c agent.c change.c child.c ctl.c degree.c doctor_agent.c doctor_memory.c
          doctor_network.c doctor_read_memory.c doctor_read_network.c doctor_settings.c
          doctor_tier.c document.c export_all.c export_shard.c findings.c hook.c hook_settings.c
          import_list.c import_look.c link.c names.c options.c progress.c start_agent.c table.c
          text.c troubles.c verb_doctor.c verb_export.c verb_forget.c verb_help.c verb_import.c
          verb_job.c verb_list.c verb_mark.c verb_node.c verb_nodes.c verb_placement.c verb_plan.c
          verb_retire.c verb_runs.c verb_show.c verb_slurm.c verb_status.c verb_tier.c
          verb_topology.c verb_verify.c verb_wait.c verbs.c watch.c without.c
  LINKS ckpt_base ckpt_config ckpt_digest ckpt_shard ckpt_wire ckpt_session ckpt_client
                   ckpt_slurm ckpt_tier ckpt_topology ckpt_arena
                   PkgConfig::JANSSON PkgConfig::INIH Threads::Threads)
# Where the hooks and the agent are installed; cmake/Install.cmake puts them there.
set(CKPT_HOOKDIR ${CMAKE_INSTALL_FULL_LIBEXECDIR}/ckptd/slurm)
target_compile_definitions(ckpt_ckptctl PRIVATE CKPT_SBINDIR="${CMAKE_INSTALL_FULL_SBINDIR}"
                                                CKPT_HOOKDIR="${CKPT_HOOKDIR}")
