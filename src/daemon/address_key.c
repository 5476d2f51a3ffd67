/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/address_key.h"

#include "base/reason.h"

static enum ckpt_status refuse(const struct config *config, const struct part *part, size_t key,
                               const char *why, char *reason)
{
    char where[512];
    config_describe(config, part_key(part, key), where, sizeof where);
    return reason_refuse(reason, CKPT_ERR_CONFIG, "%.90s: %.160s", where, why);
}

enum ckpt_status address_key_check_host(const struct config *config, const struct part *part,
                                        size_t key, enum address_use use, const char *no_path,
                                        char *reason)
{
    char why[CKPT_REASON_MAX + 1];
    const char *text = part_text(config, part, key);
    if (text != NULL && address_is_path(text)) {
        return refuse(config, part, key, no_path, reason);
    }
    return text == NULL || address_check(text, use, why) == CKPT_OK
               ? CKPT_OK
               : refuse(config, part, key, why, reason);
}

enum ckpt_status address_key_check_path(const struct config *config, const struct part *part,
                                        size_t key, char *reason)
{
    char why[CKPT_REASON_MAX + 1] = "want a path that starts with '/'";
    const char *text = part_text(config, part, key);
    return text == NULL ||
                   (address_is_path(text) && address_check(text, ADDRESS_LISTEN, why) == CKPT_OK)
               ? CKPT_OK
               : refuse(config, part, key, why, reason);
}
