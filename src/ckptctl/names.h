/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE3 of copies that are proven by fingerprints: asked for, awaited, compared. */
#ifndef CKPT_CKPTCTL_NAMES_H
#define CKPT_CKPTCTL_NAMES_H

#include "ckptctl/ctl.h"

/* Whether the coordinator's answer to an ask by BLAKE3 shows that it knows what that is. */
bool names_are_known(const json_t *answer);

/* Has all holders of the checkpoint of `show` digest their memory by BLAKE3, and puts "blake3"
 * (null: not told) and "result" into the copies, which are in the order of their ranks: "ok",
 * "gone" or "no answer", the last when end_ms has come. asked_ms_out: when, by the coordinator's
 * clock. */
enum exit_code names_await(struct ctl *ctl, const struct message_admin_ask *show, json_t *copies,
                           uint64_t end_ms, uint64_t *asked_ms_out);

/* The copies of shards of which two have told different names: a new array of the same entries. */
json_t *names_differing(const json_t *copies);

/* Of those, after each was proven again or refused: where good ones of one shard still have
 * different names, "differs" is the result of all of them. */
void names_judge(json_t *differing);

#endif
