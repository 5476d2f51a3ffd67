/* SPDX-License-Identifier: Apache-2.0 */
/* What ckptctl asks. Over the UNIX socket the kernel says whose process asks: root and the user
 * that ckptctld runs as may see and do everything, others see and change their own runs, and cannot
 * tell another's run from one that does not exist. Over TCP nobody can say who asks;
 * options.tcp_admin says what may be asked there. */
#ifndef CKPT_CKPTCTLD_ADMIN_H
#define CKPT_CKPTCTLD_ADMIN_H

#include "ckptctld/daemon.h"
#include "daemon/part.h"

struct session;

extern struct part part_admin;
enum admin_key { ADMIN_TCP, ADMIN_KEYS };

/* Answers MESSAGE_ADMIN_ASK. */
void admin_answer(struct daemon *daemon, struct session *session, const struct message *message);

#endif
