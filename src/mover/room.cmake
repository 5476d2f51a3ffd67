# SPDX-License-Identifier: Apache-2.0
# The data plane of an agent: what reads, digests and renews its memory, and knows no machine.
ckpt_room(mover SOURCES completions.c digester.c feed_device.c feed_peer.c mover.c offer.c proof.c
                        rails.c reads.c regions.c ways.c work.c
          LINKS ckpt_base ckpt_wire ckpt_arena ckpt_transport ckpt_digest Threads::Threads)
