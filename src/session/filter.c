/* SPDX-License-Identifier: Apache-2.0 */
#include "session/filter.h"

#include <stdlib.h>

#include "base/bytes.h"

#define SET_ENTRIES 8

struct entry {
    struct incarnation incarnation;
    uint64_t sequence;
    uint64_t heard; /* when, in frames; 0: unused */
};

struct session_filter {
    uint64_t frames;
    uint32_t sets; /* a power of two */
    struct entry entries[];
};

enum ckpt_status session_filter_make(uint32_t senders, struct session_filter **filter_out)
{
    uint32_t sets = 1;
    while (sets < UINT32_C(1) << 20 && sets * (SET_ENTRIES / 2) < senders) {
        sets *= 2;
    }
    struct session_filter *filter =
        calloc(1, sizeof(*filter) + (size_t)sets * SET_ENTRIES * sizeof(struct entry));
    if (!filter) {
        return CKPT_ERR_MEMORY;
    }
    filter->sets = sets;
    *filter_out = filter;
    return CKPT_OK;
}

bool session_filter_take(struct session_filter *filter, const struct incarnation *incarnation,
                         uint64_t sequence)
{
    /* An incarnation is random: its first bytes are as good as a hash. */
    uint32_t set = load_le32(incarnation->bytes) & (filter->sets - 1);
    struct entry *entries = &filter->entries[(size_t)set * SET_ENTRIES];
    struct entry *oldest = &entries[0];
    filter->frames++;
    for (int i = 0; i < SET_ENTRIES; i++) {
        struct entry *entry = &entries[i];
        if (entry->heard && incarnation_equal(&entry->incarnation, incarnation)) {
            bool is_new = sequence > entry->sequence;
            entry->sequence = is_new ? sequence : entry->sequence;
            entry->heard = filter->frames;
            return is_new;
        }
        if (entry->heard < oldest->heard) {
            oldest = entry;
        }
    }
    *oldest =
        (struct entry){.incarnation = *incarnation, .sequence = sequence, .heard = filter->frames};
    return true;
}

void session_filter_free(struct session_filter **filter)
{
    free(*filter);
    *filter = NULL;
}
