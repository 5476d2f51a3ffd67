/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/room.h"
#include "ckptctl/document.h"
#include "ckptctl/options.h"
#include "ckptctl/text.h"

enum key { KEY_RANKS, KEY_BYTES, KEY_KEEP, KEY_COPIES, KEY_NODES };

static const struct config_key keys[] = {
    [KEY_RANKS] = {.name = "ranks",
                   .flag = "ranks",
                   .type = CONFIG_INTEGER,
                   .fallback = "1",
                   .min = 1,
                   .max = CKPT_WORLD_MAX,
                   .help = "of one node"},
    [KEY_BYTES] = {.name = "bytes",
                   .flag = "bytes",
                   .type = CONFIG_BYTES,
                   .min = 1,
                   .max = INT64_C(1) << 50,
                   .help = "of each rank's shard"},
    [KEY_KEEP] = {.name = "keep",
                  .flag = "keep",
                  .type = CONFIG_INTEGER,
                  .fallback = "2",
                  .min = 1,
                  .max = 64,
                  .help = "of ckptctld: consistent checkpoints of a run that stay"},
    [KEY_COPIES] = {.name = "copies",
                    .flag = "copies",
                    .type = CONFIG_INTEGER,
                    .fallback = "2",
                    .min = 1,
                    .max = CKPT_COPIES_MAX,
                    .help = "of each shard"},
    [KEY_NODES] = {.name = "nodes",
                   .flag = "nodes",
                   .type = CONFIG_INTEGER,
                   .min = 1,
                   .max = CKPT_AGENTS_MAX,
                   .help = "of the cluster (default: copies + 1, which needs the most)"},
};

/* Of huge pages, so that the answer holds for every kind of arena. */
#define LARGEST_PAGE_BYTES (2 * CKPT_MIB)
#define HUGE_PAGES_OF_INDEX 18 /* the most, of 2048 slots, and the rounding */

struct answer {
    struct room_kind kind;
    uint64_t shards;
    uint64_t segments;
};

/* The default segments, or larger ones where an arena or a shard would have too many. */
static bool find_answer(const struct room_plan *plan, struct answer *answer_out)
{
    struct answer answer = {
        .kind = {.segment_bytes = CKPT_SEGMENT_BYTES_DEFAULT, .page_bytes = LARGEST_PAGE_BYTES},
        .shards = room_shards(plan)};
    for (;;) {
        answer.segments = room_segments(&answer.kind, answer.shards, plan->bytes);
        if (answer.segments <= CKPT_ARENA_SEGMENTS_MAX &&
            room_whole_segments(&answer.kind, plan->bytes) <= CKPT_SEGMENTS_PER_SHARD_MAX) {
            *answer_out = answer;
            return true;
        }
        if (answer.kind.segment_bytes >= CKPT_SEGMENT_BYTES_LARGEST) {
            return false;
        }
        answer.kind.segment_bytes *= 2;
    }
}

/* As a configuration file takes it. */
static struct size_text setting_text(uint64_t bytes)
{
    struct size_text text;
    bool whole = bytes % CKPT_GIB == 0;
    snprintf(text.text, sizeof(text.text), "%" PRIu64 "%s", bytes / (whole ? CKPT_GIB : CKPT_MIB),
             whole ? "GiB" : "MiB");
    return text;
}

/* For all of it, and the arena's index. */
static uint64_t huge_pages(const struct answer *answer)
{
    return answer->segments * answer->kind.segment_bytes / LARGEST_PAGE_BYTES + HUGE_PAGES_OF_INDEX;
}

static void print_plan(const struct room_plan *plan, const struct answer *answer)
{
    uint64_t bytes = answer->segments * answer->kind.segment_bytes;
    uint64_t own = (uint64_t)plan->ranks * (plan->keep + 1) * plan->copies;
    printf("a node must give %s\n\n", SIZE_TEXT(bytes));
    printf("  %" PRIu32 " rank%s x (keep %" PRIu32 " + 1) x %" PRIu32 " cop%s = %" PRIu64 " shards",
           plan->ranks, plan->ranks == 1 ? "" : "s", plan->keep, plan->copies,
           plan->copies == 1 ? "y" : "ies", own);
    if (answer->shards > own) {
        printf(", and %" PRIu64 " of a lost one of %" PRIu32 " nodes", answer->shards - own,
               plan->nodes);
    }
    printf("\n  of %s, which take %s each: %" PRIu64 " segment%s of %s\n\n", SIZE_TEXT(plan->bytes),
           SIZE_TEXT(room_of_shard(&answer->kind, plan->bytes)), answer->segments,
           answer->segments == 1 ? "" : "s", SIZE_TEXT(answer->kind.segment_bytes));
    printf("ckptd.conf:     [arena]\n                bytes = %s\n", setting_text(bytes).text);
    if (answer->kind.segment_bytes != CKPT_SEGMENT_BYTES_DEFAULT) {
        printf("                segment_bytes = %s\n",
               setting_text(answer->kind.segment_bytes).text);
    }
    printf("ckptctld.conf:  [coordinator]\n                keep = %" PRIu32 "\n", plan->keep);
    printf("huge pages:     sysctl vm.nr_hugepages=%" PRIu64 " (with /dev/hugepages of 2 MiB)\n"
           "                or mount -o remount,huge=within_size /dev/shm\n",
           huge_pages(answer));
}

static enum exit_code run(struct ctl *ctl)
{
    struct room_plan plan = {.ranks = (uint32_t)option_number(ctl, KEY_RANKS),
                             .bytes = option_number(ctl, KEY_BYTES),
                             .keep = (uint32_t)option_number(ctl, KEY_KEEP),
                             .copies = (uint32_t)option_number(ctl, KEY_COPIES)};
    plan.nodes =
        option_is_set(ctl, KEY_NODES) ? (uint32_t)option_number(ctl, KEY_NODES) : plan.copies + 1;
    struct answer answer;
    if (plan.bytes == 0) {
        return complain(EXIT_USAGE, "plan: how large is a rank's shard? --bytes=20GiB");
    }
    if (plan.nodes < plan.copies) {
        return complain(EXIT_USAGE, "plan: %" PRIu32 " copies need as many nodes, not %" PRIu32,
                        plan.copies, plan.nodes);
    }
    if (!find_answer(&plan, &answer)) {
        return complain(EXIT_NO,
                        "plan: that is more than one arena can have, %d segments of %s at most",
                        CKPT_ARENA_SEGMENTS_MAX, SIZE_TEXT(CKPT_SEGMENT_BYTES_LARGEST));
    }
    if (!ctl->json) {
        print_plan(&plan, &answer);
        return EXIT_DONE;
    }
    uint64_t bytes = (uint64_t)answer.segments * answer.kind.segment_bytes;
    json_t *document = json_pack(
        "{sI sI sI sI sI sI sI sI sI sI sI}", "ranks", (json_int_t)plan.ranks, "shard_bytes",
        (json_int_t)plan.bytes, "keep", (json_int_t)plan.keep, "copies", (json_int_t)plan.copies,
        "nodes", (json_int_t)plan.nodes, "shards", (json_int_t)answer.shards, "room_bytes",
        (json_int_t)room_of_shard(&answer.kind, plan.bytes), "segments",
        (json_int_t)answer.segments, "segment_bytes", (json_int_t)answer.kind.segment_bytes,
        "bytes", (json_int_t)bytes, "huge_pages", (json_int_t)huge_pages(&answer));
    print_json(document);
    json_decref(document);
    return EXIT_DONE;
}

const struct verb verb_plan = {
    .name = "plan",
    .operands = "",
    .summary = "how much memory a node must give",
    .help =
        "Computes what the arena of a node must hold, and what to set for it. Asks nobody.\n"
        "\n"
        "  ckptctl plan --ranks=8 --bytes=20GiB --nodes=16\n"
        "\n"
        "Each rank's shard is held (keep + 1) x copies times, by nodes that stand for each\n"
        "other, and times N / (N - 1) in a cluster of N nodes, so that when one is lost the\n"
        "others have room for its copies. A shard takes whole segments, or a part of one: less\n"
        "than twice its bytes, or a page.\n"
        "\n"
        "In huge pages a process' first saves map their memory in no time: as many as it says in\n"
        "hugetlbfs, or a tmpfs that is mounted with huge=within_size (or huge=advise). The arena\n"
        "must be made anew for it. Else libckpt does it beforehand (ckpt_prepare), page by page.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .run = run,
};
