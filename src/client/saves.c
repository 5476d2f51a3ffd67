/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps that were sealed, so that ckpt_wait tells "not yet" from "never saved". */
#include "client/saves.h"

#include <string.h>

#include "client/context.h"
#include "base/reason.h"

void client_saves_add(struct ckpt *ckpt, uint64_t step)
{
    struct save *save = &ckpt->saves[ckpt->save_next];
    ckpt->save_next = (ckpt->save_next + 1) % CLIENT_SAVES_KEPT;
    *save = (struct save){.used = true, .step = step, .link = ckpt->link.number};
}

struct save *client_saves_find(struct ckpt *ckpt, uint64_t step)
{
    for (uint32_t i = 0; i < CLIENT_SAVES_KEPT; i++) {
        if (ckpt->saves[i].used && ckpt->saves[i].step == step) {
            return &ckpt->saves[i];
        }
    }
    return NULL;
}

/* The first outcome is the outcome; of a step that this context has not saved there is none. */
void client_saves_end(struct ckpt *ckpt, uint64_t step, enum ckpt_status status, const char *reason)
{
    struct save *save = client_saves_find(ckpt, step);
    if (save != NULL && !save->ended) {
        save->ended = true;
        save->status = status;
        reason_set(save->reason, "%s", reason);
    }
}
