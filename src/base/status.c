/* SPDX-License-Identifier: Apache-2.0 */
#include <ckpt/status.h>

const char *ckpt_status_text(enum ckpt_status status)
{
    switch (status) {
#define STATUS_TEXT(name, number, text)                                                            \
    case name:                                                                                     \
        return text;
        CKPT_STATUS_TABLE(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

const char *ckpt_status_name(enum ckpt_status status)
{
    switch (status) {
#define STATUS_NAME(name, number, text)                                                            \
    case name:                                                                                     \
        return #name;
        CKPT_STATUS_TABLE(STATUS_NAME)
#undef STATUS_NAME
    }
    return "CKPT_ERR_UNKNOWN";
}
