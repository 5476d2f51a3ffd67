# SPDX-License-Identifier: Apache-2.0
ckpt_room(session SOURCES address.c admit.c bind.c channel_plain.c descriptors.c door.c filter.c
                          flush.c hub.c life.c listen.c make.c notify.c process.c queue.c receive.c
                          resolver.c schedule.c session.c signals.c watchdog.c
                  LINKS ckpt_base ckpt_wire)
target_link_libraries(ckpt_session PUBLIC PkgConfig::EVENT PRIVATE Threads::Threads)
