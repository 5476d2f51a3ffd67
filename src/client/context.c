/* SPDX-License-Identifier: Apache-2.0 */
#include "client/context.h"

#include <unistd.h>

#include "base/reason.h"

enum ckpt_status client_poison(struct ckpt *ckpt, const char *what)
{
    ckpt->poisoned = true;
    return reason_refuse(ckpt->reason, CKPT_ERR_INTERNAL,
                         "a defect in libckpt: %s; close the context and open another, and please "
                         "report it",
                         what);
}

bool client_is_own_process(const struct ckpt *ckpt)
{
    return ckpt->process == getpid();
}

enum ckpt_status client_enter(struct ckpt *ckpt)
{
    if (ckpt == NULL) {
        return CKPT_ERR_INVALID;
    }
    if (!client_is_own_process(ckpt)) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "this context is of the process that forked this one: open another");
    }
    if (ckpt->poisoned) {
        return CKPT_ERR_INTERNAL; /* the reason stays */
    }
    ckpt->reason[0] = '\0';
    return CKPT_OK;
}
