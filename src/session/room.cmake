# SPDX-License-Identifier: Apache-2.0
ckpt_room(session SOURCES address.c bind.c descriptors.c filter.c hub.c listen.c notify.c
                          resolver.c session.c door.c process.c signals.c watchdog.c
                  LINKS ckpt_base ckpt_wire)
target_link_libraries(ckpt_session PUBLIC PkgConfig::EVENT PRIVATE Threads::Threads)
