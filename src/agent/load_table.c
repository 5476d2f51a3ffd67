/* SPDX-License-Identifier: Apache-2.0 */
/* The table of loads. */
#include "agent/load_table.h"

#include <assert.h>
#include <string.h>

#include "agent/slot.h"

/*   UNUSED --> ASKING ----------------> LOANED
 *     ^         | ^  |                   ^ |
 *     |         | |  v                   | |
 *     |         | PROVING or FETCHING ---' |   a range alone; back where that cannot be done
 *     '---------'----'---------------------'   refused, too late, released, its process is gone */
static const unsigned moves[] = {
    [LOAD_UNUSED] = TO(LOAD_ASKING),
    [LOAD_ASKING] = TO(LOAD_PROVING) | TO(LOAD_FETCHING) | TO(LOAD_LOANED) | TO(LOAD_UNUSED),
    [LOAD_PROVING] = TO(LOAD_LOANED) | TO(LOAD_ASKING) | TO(LOAD_UNUSED),
    [LOAD_FETCHING] = TO(LOAD_LOANED) | TO(LOAD_ASKING) | TO(LOAD_UNUSED),
    [LOAD_LOANED] = TO(LOAD_UNUSED),
};

void agent_load_move(struct load *load, enum load_state to)
{
    assert(MAY_MOVE(moves, load->state, to));
    load->state = to;
}

/* Most processes have none, and are stepped over whole. */
struct load *agent_load_next(const struct agent *a, uint32_t *cursor)
{
    assert(*cursor <= a->load_count);
    while (*cursor < a->load_count) {
        uint32_t at = *cursor;
        if (a->sessions[at / AGENT_LOADS_PER_RANK].loads == 0) {
            *cursor = (at / AGENT_LOADS_PER_RANK + 1) * AGENT_LOADS_PER_RANK;
            continue;
        }
        *cursor = at + 1;
        if (a->loads[at].state != LOAD_UNUSED) {
            return &a->loads[at];
        }
    }
    return NULL;
}

struct load *agent_load_find(struct agent *a, uint32_t session, bool collective, uint32_t number)
{
    assert(session < a->session_count);
    for (uint32_t i = 0; i < AGENT_LOADS_PER_RANK; i++) {
        struct load *load = &a->loads[session * AGENT_LOADS_PER_RANK + i];
        if (load->state != LOAD_UNUSED && load->collective == collective && load->load == number) {
            return load;
        }
    }
    return NULL;
}

struct load *agent_load_make(struct agent *a, uint32_t session)
{
    assert(session < a->session_count);
    for (uint32_t i = 0; i < AGENT_LOADS_PER_RANK; i++) {
        struct load *load = &a->loads[session * AGENT_LOADS_PER_RANK + i];
        if (load->state == LOAD_UNUSED) {
            *load = (struct load){.session = session, .slot = NONE};
            agent_load_move(load, LOAD_ASKING);
            a->sessions[session].loads++;
            return load;
        }
    }
    return NULL;
}

void agent_load_lend(struct agent *a, struct load *load, uint32_t slot)
{
    assert(load->slot == NONE);
    assert(slot < a->config.slots);
    load->slot = slot;
    load->generation = a->slots[slot].generation;
    a->slots[slot].loans++;
}

void agent_load_unlend(struct agent *a, struct load *load)
{
    assert(load->slot != NONE);
    assert(a->slots[load->slot].generation == load->generation);
    agent_slot_unloan(a, load->slot);
    load->slot = NONE;
}

void agent_load_end(struct agent *a, struct load *load)
{
    assert(load->session < a->session_count);
    assert(load->slot == NONE);
    assert(a->sessions[load->session].loads > 0);
    a->sessions[load->session].loads--;
    agent_load_move(load, LOAD_UNUSED);
    memset(load, 0, sizeof(*load));
}
