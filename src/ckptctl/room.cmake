# SPDX-License-Identifier: Apache-2.0
ckpt_program(ckptctl SOURCES main.c options.c verbs.c ctl.c hook_settings.c link.c table.c
                             troubles.c
                             progress.c agent.c export_all.c export_shard.c import_list.c
                             import_look.c verb_status.c
                             verb_nodes.c verb_runs.c verb_list.c verb_show.c verb_placement.c
                             verb_wait.c verb_verify.c verb_retire.c verb_mark.c verb_export.c
                             verb_forget.c verb_node.c change.c verb_import.c verb_topology.c
                             verb_plan.c verb_job.c verb_slurm.c verb_help.c degree.c hook.c
                             start_agent.c watch.c without.c
             LINKS ckpt_base ckpt_config ckpt_digest ckpt_shard ckpt_wire ckpt_session ckpt_client
                   ckpt_slurm ckpt_topology
                   PkgConfig::JANSSON Threads::Threads)
# Where the hooks and the agent are installed; cmake/Install.cmake puts them there.
set(CKPT_HOOKDIR ${CMAKE_INSTALL_FULL_LIBEXECDIR}/ckptd/slurm)
target_compile_definitions(ckpt_ckptctl PRIVATE CKPT_SBINDIR="${CMAKE_INSTALL_FULL_SBINDIR}"
                                                CKPT_HOOKDIR="${CKPT_HOOKDIR}")
