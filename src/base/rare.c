/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rare.h"

bool rare_is_over(const struct rare *rare, uint64_t now_ms)
{
    uint64_t quiet_ms = rare->pause_ms > RARE_FIRST_MS ? rare->pause_ms : RARE_FIRST_MS;
    return rare->count == 0 || now_ms >= rare->last_ms + quiet_ms;
}

void rare_ends(struct rare *rare)
{
    *rare = (struct rare){.key = rare->key};
}

bool rare_happens(struct rare *rare, uint64_t now_ms)
{
    if (rare_is_over(rare, now_ms)) {
        rare_ends(rare);
        rare->first_ms = now_ms;
    }
    rare->last_ms = now_ms;
    rare->count++;
    if (rare->pause_ms != 0 && now_ms < rare->said_ms + rare->pause_ms) {
        return false;
    }
    uint32_t doubled_ms = rare->pause_ms > RARE_LAST_MS / 2 ? RARE_LAST_MS : 2 * rare->pause_ms;
    rare->pause_ms = rare->pause_ms == 0 ? RARE_FIRST_MS : doubled_ms;
    rare->said_ms = now_ms;
    return true;
}

struct rare *rare_find(struct rare *table, size_t entries, uint64_t key, uint64_t now_ms)
{
    struct rare *place = NULL;
    for (size_t i = 0; i < entries; i++) {
        struct rare *entry = &table[i];
        if (entry->key == key) {
            return entry;
        }
        bool is_older = place == NULL || entry->last_ms < place->last_ms;
        if ((entry->key == 0 || rare_is_over(entry, now_ms)) && is_older) {
            place = entry;
        }
    }
    if (place != NULL) {
        *place = (struct rare){.key = key};
    }
    return place;
}

/* FNV-1a, over the number's bytes and the text's. */
uint64_t rare_key(uint64_t about, const char *text)
{
    const uint64_t prime = UINT64_C(0x100000001b3);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < 8; i++) {
        hash = (hash ^ (about >> 8 * i & 0xff)) * prime;
    }
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * prime;
    }
    return hash != 0 ? hash : 1;
}
