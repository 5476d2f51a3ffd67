/* SPDX-License-Identifier: Apache-2.0 */
#include "turns.h"

#include <stdlib.h>

static bool is_before(const struct turn *a, const struct turn *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

void turns_init(struct turns *turns)
{
    *turns = (struct turns){0};
}

void turns_free(struct turns *turns)
{
    free(turns->heap);
    *turns = (struct turns){0};
}

void turns_push(struct turns *turns, struct turn turn)
{
    if (turns->count == turns->room) {
        turns->room = turns->room ? 2 * turns->room : 1024;
        turns->heap = realloc(turns->heap, turns->room * sizeof *turns->heap);
        if (!turns->heap) {
            abort();
        }
    }
    turn.order = turns->next_order++;
    size_t at = turns->count++;
    while (at > 0 && is_before(&turn, &turns->heap[(at - 1) / 2])) {
        turns->heap[at] = turns->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    turns->heap[at] = turn;
}

bool turns_pop(struct turns *turns, struct turn *turn_out)
{
    if (turns->count == 0) {
        return false;
    }
    *turn_out = turns->heap[0];
    struct turn last = turns->heap[--turns->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= turns->count) {
            break;
        }
        if (child + 1 < turns->count && is_before(&turns->heap[child + 1], &turns->heap[child])) {
            child++;
        }
        if (!is_before(&turns->heap[child], &last)) {
            break;
        }
        turns->heap[at] = turns->heap[child];
        at = child;
    }
    turns->heap[at] = last;
    return true;
}
