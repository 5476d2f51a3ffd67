/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/real_parcels.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

void real_fleet_fail(struct real_fleet *fleet, enum ckpt_status status, const char *format, ...)
{
    va_list arguments;
    if (fleet->status != CKPT_OK) {
        return;
    }
    fleet->status = status;
    va_start(arguments, format);
    vsnprintf(fleet->reason, sizeof(fleet->reason), format, arguments);
    va_end(arguments);
}

static bool grow(struct real_fleet *fleet)
{
    size_t room = fleet->parcel_room > 0 ? 2 * fleet->parcel_room : 256;
    struct real_parcel *parcels = calloc(room, sizeof(*parcels));
    if (parcels == NULL) {
        return false;
    }
    for (size_t i = 0; i < fleet->parcel_count; i++) {
        parcels[i] = fleet->parcels[(fleet->parcel_first + i) % fleet->parcel_room];
    }
    free(fleet->parcels);
    fleet->parcels = parcels;
    fleet->parcel_room = room;
    fleet->parcel_first = 0;
    return true;
}

void real_fleet_post(struct real_fleet *fleet, uint32_t agent, const struct agent_event *event,
                     const struct message *message)
{
    if (fleet->parcel_count == fleet->parcel_room && !grow(fleet)) {
        real_fleet_fail(fleet, CKPT_ERR_MEMORY, "no memory for what the agents say");
        return;
    }
    size_t at = (fleet->parcel_first + fleet->parcel_count) % fleet->parcel_room;
    struct real_parcel *parcel = &fleet->parcels[at];
    parcel->agent = agent;
    parcel->event = *event;
    parcel->event.message = NULL;
    if (message != NULL) {
        parcel->message = *message;
    } else {
        parcel->message.type = MESSAGE_NONE;
    }
    fleet->parcel_count++;
}
