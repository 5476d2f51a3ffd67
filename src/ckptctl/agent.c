/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/agent.h"

enum exit_code agent_complain(enum ckpt_status status, const char *reason)
{
    enum exit_code code =
        status == CKPT_ERR_NO_AGENT || status == CKPT_ERR_NO_COORDINATOR ? EXIT_NOBODY : EXIT_NO;
    return complain(code, "%s", reason[0] ? reason : ckpt_status_text(status));
}

enum exit_code agent_open_reader(const struct ctl *ctl, const char *run, struct ckpt **ckpt_out)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    struct ckpt_options options = {.size = sizeof(options),
                                   .socket = ctl->agent_socket,
                                   .run = run,
                                   .attempt = 1,
                                   .world = 1,
                                   .reader = true};
    enum ckpt_status status = ckpt_open_reason(&options, ckpt_out, reason, sizeof(reason));
    return status == CKPT_OK ? EXIT_DONE : agent_complain(status, reason);
}
