# SPDX-License-Identifier: Apache-2.0
ckpt_room(coordinator
  SOURCES update.c digest_key.c note.c table.c queue.c fence.c copy.c fit.c restore_state.c seat.c
          persist_order.c persist_state.c persist_rule.c persist_root.c persist.c
          linger.c home.c shard.c share.c run.c checkpoint_table.c find.c fetch_table.c roster.c
          drain_rule.c redundancy.c surplus.c place.c order.c naming.c repair.c announce.c trouble.c
          checkpoint.c drain_view.c drain.c replica.c commit.c mark.c room.c attend.c
          seat_confirm.c start_insist.c start_number.c start.c verdict.c restore_choose.c
          restore.c range.c fetch.c load_ask.c report_ack.c report_open.c report_digest.c report.c
          pull_failed.c job.c member.c join.c heartbeat.c door.c expire.c forget.c admin.c
          replay.c invariant.c degree.c view.c init.c advance.c
  LINKS ckpt_base ckpt_digest ckpt_wire ckpt_placement)
