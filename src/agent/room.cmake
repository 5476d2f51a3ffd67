# SPDX-License-Identifier: Apache-2.0
ckpt_room(agent SOURCES adopt.c agent.c coordinator_link.c digest.c gather.c identity.c invariant.c
                        job.c load.c let_go.c part.c peer.c pull.c pull_order.c query.c
                        rank_session.c reason.c refusal.c report.c run.c save.c seat.c segment.c
                        slot.c source.c update.c
          LINKS ckpt_base ckpt_wire)
