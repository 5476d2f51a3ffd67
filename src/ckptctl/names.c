/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/names.h"

#include <string.h>

#include "base/clock.h"
#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/pause.h"
#include "ckptctl/progress.h"

#define POLL_MS 100

bool names_are_known(const json_t *answer)
{
    return field_true(answer, "blake3");
}

static bool is_ok(const json_t *copy)
{
    return strcmp(field_text(copy, "result"), "ok") == 0;
}

/* The copy of that name, looked for from *at on, where it mostly is; NULL: none. */
static json_t *find_copy(const json_t *copies, const json_t *name, size_t *at)
{
    size_t count = json_array_size(copies);
    for (size_t i = 0; i < count; i++) {
        json_t *copy = json_array_get(copies, (*at + i) % count);
        if (field_number(copy, "rank") == field_number(name, "rank") &&
            field_number(copy, "generation") == field_number(name, "generation") &&
            strcmp(field_text(copy, "node"), field_text(name, "node")) == 0) {
            *at = (*at + i + 1) % count;
            return copy;
        }
    }
    return NULL;
}

/* Brings the results up to what was told; how many may still be. */
static size_t take(json_t *copies, const json_t *told)
{
    size_t waiting = 0;
    size_t at = 0;
    size_t i;
    const json_t *name;
    json_array_foreach(json_object_get(told, "names"), i, name)
    {
        json_t *copy = find_copy(copies, name, &at);
        json_t *blake3 = json_object_get(name, "blake3");
        bool is_there = field_true(name, "there");
        if (!copy) {
            continue;
        }
        json_object_set(copy, "blake3", blake3);
        json_object_set_new(copy, "result",
                            json_string(!is_there                ? "gone"
                                        : json_is_string(blake3) ? "ok"
                                                                 : "no answer"));
        waiting += is_there && !json_is_string(blake3);
    }
    return waiting;
}

/* Asks for the part of the checkpoint that begins with this rank. */
static enum exit_code ask_part(struct ctl *ctl, const struct message_admin_ask *show, uint32_t rank,
                               uint64_t *asked_ms_out)
{
    char reason[CKPT_REASON_MAX + 1];
    json_t *answer;
    struct message_admin_ask ask = *show;
    ask.verb = ADMIN_VERIFY;
    ask.blake3 = true;
    ask.from = rank;
    enum ckpt_status status = link_ask(ctl, &ask, &answer, reason);
    if (status != CKPT_OK) {
        return link_complain(status, reason);
    }
    bool knows = names_are_known(answer);
    *asked_ms_out = field_number(answer, "now_ms");
    json_decref(answer);
    return knows ? EXIT_DONE
                 : complain(EXIT_NO, "the coordinator is of an earlier release, and knows no "
                                     "--blake3: the copies are digested as without it");
}

/* Of one part. next_rank_out: of the next one; 0: there is none. */
static enum exit_code await_part(struct ctl *ctl, const struct message_admin_ask *show,
                                 uint32_t rank, json_t *copies, uint64_t end_ms,
                                 uint32_t *next_rank_out)
{
    char reason[CKPT_REASON_MAX + 1];
    struct message_admin_ask ask = *show;
    ask.blake3 = true;
    for (;;) {
        json_t *told;
        uint64_t asked_ms;
        enum ckpt_status status = link_ask_pages(ctl, &ask, "names", &told, reason);
        if (status == CKPT_ERR_NOT_FOUND && clock_now_ms() < end_ms) {
            /* The coordinator was started anew, or somebody else asked for another checkpoint. */
            enum exit_code code = ask_part(ctl, show, rank, &asked_ms);
            if (code != EXIT_DONE) {
                return code;
            }
            pause_ms(POLL_MS);
            continue;
        }
        if (status != CKPT_OK) {
            return link_complain(status, reason);
        }
        size_t waiting = take(copies, told);
        *next_rank_out = (uint32_t)field_number(told, "next_rank");
        json_decref(told);
        if (waiting == 0 || clock_now_ms() >= end_ms) {
            return EXIT_DONE;
        }
        progress_show(ctl, "%zu copies are digested by BLAKE3", waiting);
        pause_ms(POLL_MS);
    }
}

enum exit_code names_await(struct ctl *ctl, const struct message_admin_ask *show, json_t *copies,
                           uint64_t end_ms, uint64_t *asked_ms_out)
{
    enum exit_code code = EXIT_DONE;
    uint32_t rank = 0;
    bool is_first = true;
    size_t i;
    json_t *copy;
    json_array_foreach(copies, i, copy)
    {
        json_object_set_new(copy, "blake3", json_null());
    }
    while (code == EXIT_DONE && (is_first || rank > 0)) {
        uint64_t asked_ms = 0;
        uint32_t next = 0;
        code = ask_part(ctl, show, rank, &asked_ms);
        if (is_first) {
            *asked_ms_out = asked_ms;
        }
        is_first = false;
        if (code == EXIT_DONE) {
            code = await_part(ctl, show, rank, copies, end_ms, &next);
        }
        rank = next;
    }
    progress_clear();
    return code;
}

/* Whether two copies of this one's shard have told different names; or two that are ok. */
static bool is_doubted(const json_t *copies, size_t place, bool only_ok)
{
    const json_t *copy = json_array_get(copies, place);
    uint64_t rank = field_number(copy, "rank");
    const char *name = NULL;
    size_t i = place;
    while (i > 0 && field_number(json_array_get(copies, i - 1), "rank") == rank) {
        i--;
    }
    for (; field_number(json_array_get(copies, i), "rank") == rank && i < json_array_size(copies);
         i++) {
        const json_t *other = json_array_get(copies, i);
        bool counts =
            json_is_string(json_object_get(other, "blake3")) && (!only_ok || is_ok(other));
        if (!counts) {
            continue;
        }
        if (name && strcmp(field_text(other, "blake3"), name) != 0) {
            return true;
        }
        name = field_text(other, "blake3");
    }
    return false;
}

static json_t *differing_of(const json_t *copies, bool only_ok)
{
    json_t *differing = json_array();
    for (size_t i = 0; i < json_array_size(copies); i++) {
        if (is_doubted(copies, i, only_ok)) {
            json_array_append(differing, json_array_get(copies, i));
        }
    }
    return differing;
}

json_t *names_differing(const json_t *copies)
{
    return differing_of(copies, false);
}

void names_judge(json_t *differing)
{
    json_t *still = differing_of(differing, true);
    size_t i;
    json_t *copy;
    json_array_foreach(still, i, copy)
    {
        if (is_ok(copy)) {
            json_object_set_new(copy, "result", json_string("differs"));
        }
    }
    json_decref(still);
}
