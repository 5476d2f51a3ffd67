# SPDX-License-Identifier: Apache-2.0
ckpt_room(agent SOURCES adopt.c advance.c checkpoint.c config.c coordinator_link.c
                        coordinator_message.c device_key.c digest_key.c gather.c grant.c heartbeat.c
                        identity.c invariant.c job.c layout.c let_go.c load.c load_answer.c
                        load_table.c note.c part.c peer.c persist.c prepare.c pull.c pull_answer.c
                        pull_failure.c pull_order.c pull_table.c query.c range.c rank_session.c
                        refusal.c report.c report_ack.c room_wait.c run.c save.c save_outcome.c
                        scrub.c seat.c segment.c silence.c slot.c slot_claim.c source.c update.c
                        verify_order.c view.c work.c work_done.c
          LINKS ckpt_base ckpt_digest ckpt_wire)
