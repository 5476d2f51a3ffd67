/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's notes as lines of the log, and as counts. */
#include "unit/daemon/story.h"

#include "base/log.h"
#include "daemon/notes.h"

static void take_line(enum log_level level, const char *line, size_t line_bytes, void *context)
{
    (void)level;
    (void)line_bytes;
    (void)context;
    tell("%s", line);
}

static void fields_stand_where_they_apply(void **state)
{
    (void)state;
    const struct run_key run = {.uid = 1000, .name = "team/llama"};
    const struct {
        const char *name;
        struct machine_note note;
        const char *node;
        const char *expected;
    } cases[] = {
        {"nothing", {.event = EVENT_copy_let_go}, NULL, ""},
        {"the machine's own node", {.event = EVENT_copy_let_go}, "n1", " node=n1"},
        {"another node", {.node = "n2"}, "n1", " node=n2"},
        {"text in words", {.text = "no room"}, NULL, " text=\"no room\""},
        {"a run",
         {.run = run, .attempt = 2, .step = 10},
         NULL,
         " run=team/llama uid=1000 attempt=2 step=10"},
        {"a shard",
         {.run = run,
          .attempt = 2,
          .step = 10,
          .has_shard = true,
          .rank = 3,
          .node = "n2",
          .text = "bad"},
         "n1",
         " run=team/llama uid=1000 attempt=2 step=10 rank=3 node=n2 text=bad"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char fields[NOTE_FIELDS_BYTES];
        note_fields(&cases[i].note, cases[i].node, fields);
        if (strcmp(fields, cases[i].expected) != 0) {
            fail_msg("%s: '%s' is not '%s'", cases[i].name, fields, cases[i].expected);
        }
    }
}

/* The longest that a note can hold, with every byte of its text escaped. */
static void the_longest_note_fits(void **state)
{
    (void)state;
    char fields[NOTE_FIELDS_BYTES];
    struct machine_note note = {.attempt = UINT32_MAX,
                                .step = UINT64_MAX,
                                .rank = UINT32_MAX,
                                .has_shard = true,
                                .run = {.uid = UINT32_MAX}};
    memset(note.run.name, 'r', CKPT_RUN_NAME_MAX);
    memset(note.node, 'n', CKPT_NODE_NAME_MAX);
    memset(note.text, '\n', CKPT_REASON_MAX);
    note_fields(&note, NULL, fields);
    assert_non_null(strstr(fields, "...\""));
}

static void each_note_is_a_line_and_a_count(void **state)
{
    (void)state;
    static struct notes notes;
    const struct machine_note list[] = {{.event = EVENT_copy_let_go, .text = "one"},
                                        {.event = EVENT_copy_let_go, .node = "n2"}};
    log_set_sink(take_line, NULL);
    log_set_level(LOG_LEVEL_DEBUG);
    notes_log(&notes, list, 2, 0, "n1");
    const char *level = log_level_name(event_level(EVENT_copy_let_go));
    char expected[512];
    snprintf(expected, sizeof(expected),
             "level=%s event=copy_let_go source=machine node=n1 text=one; "
             "level=%s event=copy_let_go source=machine node=n2; ",
             level, level);
    EXPECT_STORY(expected);
    assert_int_equal(notes.counts[EVENT_copy_let_go], 2);
    assert_int_equal(notes.counts[EVENT_notes_lost], 0);
    notes_log(&notes, NULL, 0, 5, NULL);
    assert_non_null(strstr(story, "event=notes_lost count=5"));
    assert_int_equal(notes.counts[EVENT_notes_lost], 1);
    log_set_sink(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_stand_where_they_apply),
        cmocka_unit_test(the_longest_note_fits),
        cmocka_unit_test(each_note_is_a_line_and_a_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
