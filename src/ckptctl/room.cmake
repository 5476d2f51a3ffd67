# SPDX-License-Identifier: Apache-2.0
ckpt_program(ckptctl SOURCES main.c link.c table.c agent.c verb_status.c verb_nodes.c verb_runs.c
                             verb_list.c verb_show.c verb_placement.c verb_wait.c verb_verify.c
                             verb_retire.c verb_export.c verb_import.c verb_topology.c
             LINKS ckpt_base ckpt_config ckpt_digest ckpt_wire ckpt_session ckpt_client
                   ckpt_topology
                   PkgConfig::JANSSON)
