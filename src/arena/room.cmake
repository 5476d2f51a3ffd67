# SPDX-License-Identifier: Apache-2.0
# arena_view is what libckpt links: mapping descriptors, nothing else of the arena.
ckpt_room(arena_view DIR arena SOURCES view.c LINKS ckpt_base)
# Its records are the agent's; it links nothing of the machine.
ckpt_room_headers(agent)
ckpt_room_headers(digest)
ckpt_room_headers(wire)
ckpt_room(arena
  SOURCES arena.c beside.c cgroup.c directory.c explain.c guard.c index.c inventory.c parts.c pin.c
          preflight.c record.c repair.c segment.c segments.c slot_view.c values.c
  LINKS ckpt_arena_view ckpt_base ckpt_agent_headers ckpt_digest_headers ckpt_wire_headers
        Threads::Threads)
