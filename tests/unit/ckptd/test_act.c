/* SPDX-License-Identifier: Apache-2.0 */
/* In which order an update is carried out, and what of it is not when a record cannot be stored.
 * The machine, the arena and the threads only tell what they are asked. */
#include "unit/daemon/story.h"

#include <stdlib.h>

#include "arena/arena.h"
#include "ckptd/act.h"
#include "ckptd/connections.h"
#include "ckptd/quiet.h"
#include "ckptd/tier_work.h"
#include "mover/mover.h"
#include "session/session.h"
#include "wire/message_codec.h"

static struct daemon d;
static struct agent_update update;
static enum ckpt_status stored;
static bool has_memory, has_session;

struct nonce agent_cluster(const struct agent *machine)
{
    (void)machine;
    return (struct nonce){.bytes = {1}};
}

uint64_t agent_epoch(const struct agent *machine)
{
    (void)machine;
    return 4;
}

bool agent_slot_view(const struct agent *machine, uint32_t slot, struct agent_slot_view *view_out)
{
    (void)machine;
    static const uint16_t segments[] = {10};
    assert_true(slot == 3 || slot == 0);
    *view_out = (struct agent_slot_view){.segment_count = 1, .segments = segments};
    return true;
}

void arena_cluster_set(struct arena *arena, const struct nonce *cluster)
{
    (void)arena;
    tell("cluster %u", cluster->bytes[0]);
}

void arena_epoch_raise(struct arena *arena, uint64_t epoch)
{
    (void)arena;
    tell("epoch %llu", (unsigned long long)epoch);
}

enum ckpt_status arena_record_store(struct arena *arena, uint32_t slot,
                                    const struct slot_record *record)
{
    (void)arena;
    (void)record;
    tell("store %u", slot);
    return stored;
}

enum ckpt_status arena_segment_fd(struct arena *arena, uint32_t segment, bool read_only,
                                  int *fd_out)
{
    (void)arena;
    (void)segment;
    (void)read_only;
    (void)fd_out;
    return CKPT_ERR_SYSTEM;
}

void quiet_slot(struct quiet *quiet, uint32_t slot, bool filling, uint64_t now_ms)
{
    (void)quiet;
    (void)now_ms;
    tell("slot %u %s", slot, filling ? "fills" : "stands");
}

void tier_begin(struct daemon *daemon, const struct agent_work *work)
{
    (void)daemon;
    tell("tier work %d of slot %u", (int)work->type, work->slot);
}

void quiet_work(struct quiet *quiet, uint64_t now_ms)
{
    (void)quiet;
    (void)now_ms;
}

void completions_post_work(void *completions, struct work *work)
{
    (void)completions;
    free(work);
}

struct work *work_make(const struct work_plan *plan)
{
    struct work *work = has_memory || plan->segment_count == 0 ? calloc(1, sizeof(*work)) : NULL;
    if (work != NULL) {
        work->plan = *plan;
    }
    return work;
}

bool work_take_offer(struct work *work, uint32_t link, const struct message_offer *offer)
{
    (void)offer;
    work->link = link;
    return true;
}

bool work_take_gather(struct work *work, const struct message_gather *ask, int descriptor)
{
    (void)work;
    (void)ask;
    tell("descriptor %d", descriptor);
    return true;
}

void work_fail(struct work *work, enum ckpt_status status)
{
    tell("work %llu fails %s", (unsigned long long)work->plan.number, ckpt_status_name(status));
}

void work_release(struct work *work)
{
    free(work);
}

void work_free(struct work *work)
{
    free(work);
}

bool digester_cancel(struct digester *digester, uint64_t number)
{
    (void)digester;
    (void)number;
    return false;
}

void digester_add(struct digester *digester, struct work *work)
{
    (void)digester;
    tell("digest %llu", (unsigned long long)work->plan.number);
    free(work);
}

void mover_read(struct mover *mover, struct work *work)
{
    (void)mover;
    tell("read %llu link %u", (unsigned long long)work->plan.number, work->link);
    free(work);
}

void mover_shape(struct mover *mover, struct work *work)
{
    (void)mover;
    tell("shape %llu", (unsigned long long)work->plan.number);
    free(work);
}

void mover_cancel(struct mover *mover, uint64_t number)
{
    (void)mover;
    tell("cancel %llu", (unsigned long long)number);
}

void mover_offer(struct mover *mover, struct offer_reply *offer)
{
    (void)mover;
    tell("offer to %u", offer->link);
    free(offer);
}

void mover_revoke(struct mover *mover, const uint16_t *segments, uint32_t n)
{
    (void)mover;
    tell("revoke %u of %u", segments[0], n);
}

struct offer_reply *offer_reply_make(uint32_t segment_count)
{
    (void)segment_count;
    return calloc(1, sizeof(struct offer_reply));
}

struct session *connections_find(struct daemon *daemon, enum agent_target target, uint32_t link)
{
    (void)target;
    (void)link;
    return has_session ? (struct session *)daemon : NULL;
}

void connections_connect(struct daemon *daemon, uint32_t link, const char *address)
{
    (void)daemon;
    tell("connect %u %s", link, address);
}

void connections_close(struct daemon *daemon, uint32_t link)
{
    (void)daemon;
    tell("close %u", link);
}

enum ckpt_status session_send(struct session *session, const struct message *message,
                              const int *descriptors, uint32_t count)
{
    (void)session;
    (void)descriptors;
    (void)count;
    tell("send %s", message_type_name(message->type));
    return CKPT_OK;
}

void session_close(struct session *session)
{
    (void)session;
    tell("close session");
}

void session_vouch(struct session *session)
{
    (void)session;
    tell("vouch");
}

static int start(void **state)
{
    (void)state;
    memset(&d, 0, sizeof(d));
    memset(&update, 0, sizeof(update));
    d.event_descriptor = -1;
    stored = CKPT_OK;
    has_memory = has_session = true;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    story[0] = '\0';
    return 0;
}

static void one_of_each(void)
{
    update.record_count = 1;
    update.records[0] = (struct slot_record){.slot = 3, .state = SLOT_SEALED};
    update.work_count = 1;
    update.works[0] =
        (struct agent_work){.type = AGENT_WORK_DIGEST, .work = 77, .slot = 3, .bytes = 4096};
    update.message_count = 1;
    update.messages[0] = (struct agent_outgoing){.target = AGENT_TO_RANK, .link = 5};
    update.messages[0].message.type = MESSAGE_SAVE_OUTCOME;
    update.note_count = 1;
    update.notes[0].event = EVENT_copy_let_go;
}

static void records_come_first_then_work_then_words(void **state)
{
    (void)state;
    one_of_each();
    act_on_update(&d, &update);
    EXPECT_STORY("cluster 1; epoch 4; slot 3 stands; store 3; digest 77; send save_outcome; ");
    assert_int_equal(d.notes.counts[EVENT_copy_let_go], 1);
    assert_false(d.is_broken);
}

static void what_cannot_be_recorded_is_not_said(void **state)
{
    (void)state;
    one_of_each();
    stored = CKPT_ERR_DISK;
    act_on_update(&d, &update);
    EXPECT_STORY("cluster 1; epoch 4; slot 3 stands; store 3; digest 77; ");
    assert_true(d.is_broken);
}

static void memory_that_is_given_up_is_revoked_before_its_record(void **state)
{
    (void)state;
    update.record_count = 1;
    update.records[0] = (struct slot_record){
        .slot = 3, .state = SLOT_DIRTY, .segment_count = 2, .segments = {8, 9}};
    act_on_update(&d, &update);
    EXPECT_STORY("cluster 1; epoch 4; slot 3 stands; revoke 8 of 2; store 3; ");
}

static void each_work_goes_to_who_does_it(void **state)
{
    (void)state;
    struct message offer = {.type = MESSAGE_OFFER};
    d.event_message = &offer;
    update.work_count = 5;
    update.works[0] = (struct agent_work){.type = AGENT_WORK_READ, .work = 1, .link = 6};
    update.works[1] = (struct agent_work){.type = AGENT_WORK_RENEW, .work = 2};
    update.works[2] = (struct agent_work){.type = AGENT_WORK_CANCEL, .cancels = 1};
    update.works[3] =
        (struct agent_work){.type = AGENT_WORK_PEER_CONNECT, .link = 9, .address = "n2:7472"};
    update.works[4] = (struct agent_work){.type = AGENT_WORK_PEER_CLOSE, .link = 9};
    act_on_update(&d, &update);
    EXPECT_STORY("cluster 1; epoch 4; read 1 link 6; shape 2; cancel 1; connect 9 n2:7472; "
                 "close 9; ");
}

static void a_gather_takes_the_descriptor_that_came(void **state)
{
    (void)state;
    struct message ask = {.type = MESSAGE_GATHER};
    d.event_message = &ask;
    d.event_descriptor = 12;
    update.work_count = 1;
    update.works[0] = (struct agent_work){.type = AGENT_WORK_GATHER, .work = 4};
    act_on_update(&d, &update);
    EXPECT_STORY("cluster 1; epoch 4; descriptor 12; read 4 link 0; ");
    assert_int_equal(d.event_descriptor, -1);
}

static void work_without_memory_has_failed(void **state)
{
    (void)state;
    has_memory = false;
    update.work_count = 1;
    update.works[0] = (struct agent_work){.type = AGENT_WORK_DIGEST, .work = 77, .slot = 3};
    act_on_update(&d, &update);
    EXPECT_STORY("cluster 1; epoch 4; work 77 fails CKPT_ERR_MEMORY; ");
    assert_false(d.is_broken);
}

static void who_is_gone_is_told_nothing(void **state)
{
    (void)state;
    has_session = false;
    one_of_each();
    act_on_update(&d, &update);
    EXPECT_STORY("cluster 1; epoch 4; slot 3 stands; store 3; digest 77; ");
}

static void without_its_memory_an_answer_is_no_answer(void **state)
{
    (void)state;
    update.message_count = 1;
    update.messages[0] = (struct agent_outgoing){
        .target = AGENT_TO_RANK, .link = 5, .attach = ATTACH_READ_ONLY, .attach_slot = 3};
    update.messages[0].message.type = MESSAGE_LOADED;
    act_on_update(&d, &update);
    EXPECT_STORY("cluster 1; epoch 4; close session; ");
}

static void an_offer_goes_by_way_of_the_mover(void **state)
{
    (void)state;
    update.message_count = 1;
    update.messages[0] = (struct agent_outgoing){
        .target = AGENT_TO_PEER, .link = 6, .attach = ATTACH_REGIONS, .attach_slot = 3};
    update.messages[0].message.type = MESSAGE_OFFER;
    act_on_update(&d, &update);
    EXPECT_STORY("cluster 1; epoch 4; vouch; offer to 6; ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_come_first_then_work_then_words, start, stop),
        cmocka_unit_test_setup_teardown(what_cannot_be_recorded_is_not_said, start, stop),
        cmocka_unit_test_setup_teardown(memory_that_is_given_up_is_revoked_before_its_record, start,
                                        stop),
        cmocka_unit_test_setup_teardown(each_work_goes_to_who_does_it, start, stop),
        cmocka_unit_test_setup_teardown(a_gather_takes_the_descriptor_that_came, start, stop),
        cmocka_unit_test_setup_teardown(work_without_memory_has_failed, start, stop),
        cmocka_unit_test_setup_teardown(who_is_gone_is_told_nothing, start, stop),
        cmocka_unit_test_setup_teardown(without_its_memory_an_answer_is_no_answer, start, stop),
        cmocka_unit_test_setup_teardown(an_offer_goes_by_way_of_the_mover, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
