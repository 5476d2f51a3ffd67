/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent may be told to be. */
#include "agent/config.h"

#include "agent/identity.h"

#define RANKS_MAX 4096
#define PULLS_MAX 1024
#define INTERVAL_MS_MAX 3600000
#define SCRUB_MS_MAX (14 * 24 * 3600000U)

void agent_config_default(struct agent_config *config_out)
{
    *config_out = (struct agent_config){
        .segment_bytes = CKPT_SEGMENT_BYTES_DEFAULT,
        .chunk_bytes = CKPT_CHUNK_BYTES,
        .segments = 64,
        .slots = 64,
        .ranks_max = 64,
        .pulls_max = 4,
        .copies_default = 2,
        .heartbeat_ms = 1000,
        .resend_ms = 500,
        .offer_pin_ms = 30000,
        .pull_timeout_ms = 5000,
        .load_timeout_ms = 60000,
        .scrub_ms = 30 * 60 * 1000,
        .room_wait_ms = 1000,
    };
}

uint32_t agent_seats(const struct agent_config *c)
{
    return c->ranks_max + (c->ranks_max + 2) / 3 + AGENT_SEATS_KEPT;
}

static const char *number_out_of_range(const struct agent_config *c)
{
    if (c->segment_bytes == 0) {
        return "segment_bytes must not be 0";
    }
    if (c->chunk_bytes == 0) {
        return "chunk_bytes must not be 0";
    }
    if (c->segments == 0 || c->segments > CKPT_ARENA_SEGMENTS_MAX) {
        return "segments must be 1 to 4096";
    }
    if (c->parts > CKPT_ARENA_PARTS_MAX || (c->parts > 0 && c->page_bytes == 0) ||
        (c->page_bytes & (c->page_bytes - 1)) != 0) {
        return "parts must be 0 to 4096, and page_bytes a power of two";
    }
    if (c->slots == 0 || c->slots > CKPT_ARENA_SEGMENTS_MAX) {
        return "slots must be 1 to 4096";
    }
    if (c->ranks_max == 0 || c->ranks_max > RANKS_MAX) {
        return "ranks_max must be 1 to 4096";
    }
    if (c->pulls_max == 0 || c->pulls_max > PULLS_MAX) {
        return "pulls_max must be 1 to 1024";
    }
    if (c->copies_default == 0 || c->copies_default > CKPT_COPIES_MAX) {
        return "copies_default must be 1 to 4";
    }
    const uint32_t intervals[] = {c->heartbeat_ms, c->resend_ms, c->offer_pin_ms,
                                  c->pull_timeout_ms, c->load_timeout_ms};
    for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
        if (intervals[i] == 0 || intervals[i] > INTERVAL_MS_MAX) {
            return "heartbeat, resend, offer_pin, pull_timeout and load_timeout must be 1 ms to 1 "
                   "h";
        }
    }
    if (c->scrub_ms > SCRUB_MS_MAX) {
        return "scrub must be 0 to 14 days";
    }
    return NULL;
}

const char *agent_config_fault(const struct agent_config *c)
{
    if (!name_is_valid(c->node, CKPT_NODE_NAME_MAX)) {
        return "node must be a name of A-Z a-z 0-9 . _ / -";
    }
    if (!name_is_valid(c->domain, CKPT_DOMAIN_NAME_MAX)) {
        return "domain must be a name of A-Z a-z 0-9 . _ / -";
    }
    if (c->address[0] == '\0' || !agent_text_ends(c->address, CKPT_ADDRESS_MAX)) {
        return "address must not be empty, and end within 107 bytes";
    }
    return number_out_of_range(c);
}
