/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in a line of the trace. */
#include <inttypes.h>

#include "describe.h"
#include "hosts.h"
#include "wire/message_codec.h"

void trace_message(struct sim *sim, const char *who, uint32_t index, const char *what,
                   uint32_t link, const struct message *message)
{
    if (!sim->trace) {
        return;
    }
    char body[320];
    describe_body(message, body, sizeof body);
    sim_trace(sim, "%s %u %s %s link %u epoch %" PRIu64 " seq %" PRIu64 "%s", who, index, what,
              message_type_name(message->type), link, message->epoch, message->sequence, body);
}
