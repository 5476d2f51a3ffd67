# SPDX-License-Identifier: Apache-2.0
ckpt_room(coordinator
  SOURCES coordinator.c update.c member.c roster.c table.c shard.c home.c start.c seat.c fence.c
          report.c order.c place.c repair.c attend.c room.c checkpoint.c mark.c replica.c restore.c
          restore_choose.c fetch.c fetch_table.c replay.c admin.c job.c expire.c share.c trouble.c
          view.c degree.c drain.c forget.c invariant.c
  LINKS ckpt_base ckpt_wire ckpt_placement)
