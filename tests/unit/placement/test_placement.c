/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/placement.h"

static const struct placement_room room[3] = {{.segments = 0}, {.segments = 1}, {.segments = 2}};

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MEMBERS_MAX = 64 };

struct fixture {
    struct placement_member members[MEMBERS_MAX];
    struct placement_domain domains[MEMBERS_MAX];
    struct placement_map map;
};

/* `domains` failure domains of `size` members each; member = domain * size + place. */
static void build(struct fixture *f, uint32_t domains, uint32_t size)
{
    for (uint32_t d = 0; d < domains; d++) {
        f->domains[d] = (struct placement_domain){.first = d * size, .size = size};
        for (uint32_t p = 0; p < size; p++) {
            f->members[d * size + p] =
                (struct placement_member){.usable = true,
                                          .domain = d,
                                          .place = p,
                                          .next = p + 1 < size ? d * size + p + 1 : PLACEMENT_NONE,
                                          .segments_free = 10};
        }
    }
    f->map = (struct placement_map){.member_count = domains * size,
                                    .members = f->members,
                                    .domain_count = domains,
                                    .domains = f->domains};
}

static void places_each_copy_in_its_own_domain_evenly(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t held[MEMBERS_MAX] = {0};
    build(&f, 4, 3);
    for (uint32_t owner = 0; owner < f.map.member_count; owner++) {
        uint32_t taken[4] = {owner};
        for (uint32_t n = 1; n < 4; n++) {
            assert_int_equal(
                placement_choose(&f.map, owner, taken, n, NULL, 0, &room[1], &taken[n]), CKPT_OK);
            held[taken[n]]++;
        }
        assert_int_equal(placement_domains(&f.map, taken, 4), 4);
    }
    for (uint32_t member = 0; member < f.map.member_count; member++) {
        assert_int_equal(held[member], 3);
    }
}

static void a_loss_moves_only_what_the_lost_member_held(void **state)
{
    (void)state;
    struct fixture f;
    build(&f, 5, 2);
    uint32_t before[MEMBERS_MAX];
    for (uint32_t owner = 0; owner < f.map.member_count; owner++) {
        placement_choose(&f.map, owner, &owner, 1, NULL, 0, &room[1], &before[owner]);
    }
    uint32_t lost = 4;
    f.members[lost].usable = false;
    for (uint32_t owner = 0; owner < f.map.member_count; owner++) {
        uint32_t after;
        assert_int_equal(placement_choose(&f.map, owner, &owner, 1, NULL, 0, &room[1], &after),
                         CKPT_OK);
        if (before[owner] == lost) {
            assert_int_not_equal(after, lost);
        } else {
            assert_int_equal(after, before[owner]);
        }
    }
}

static void one_domain_is_too_few(void **state)
{
    (void)state;
    struct fixture f;
    build(&f, 1, 4);
    uint32_t owner = 0;
    uint32_t chosen = 99;
    assert_int_equal(placement_choose(&f.map, owner, &owner, 1, NULL, 0, &room[1], &chosen),
                     CKPT_ERR_NO_DOMAIN);
    assert_int_equal(chosen, 99);
}

static void full_and_avoided_members_are_passed_over(void **state)
{
    (void)state;
    struct fixture f;
    build(&f, 2, 3);
    uint32_t owner = 0;
    uint32_t chosen;
    f.members[3].segments_free = 1;
    assert_int_equal(placement_choose(&f.map, owner, &owner, 1, NULL, 0, &room[2], &chosen),
                     CKPT_OK);
    assert_int_equal(chosen, 4);
    uint32_t avoid[] = {4};
    assert_int_equal(placement_choose(&f.map, owner, &owner, 1, avoid, 1, &room[2], &chosen),
                     CKPT_OK);
    assert_int_equal(chosen, 5);
    f.members[5].segments_free = 0;
    assert_int_equal(placement_choose(&f.map, owner, &owner, 1, avoid, 1, &room[2], &chosen),
                     CKPT_ERR_FULL);
}

/* Nobody is sent to a member that is to go while another will do; or, where it may not be taken,
 * ever. */
static void who_is_to_go_is_the_last_choice(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t owner = 0;
    uint32_t chosen;
    build(&f, 3, 1);
    f.members[1].last = true;
    assert_int_equal(placement_choose(&f.map, owner, &owner, 1, NULL, 0, &room[1], &chosen),
                     CKPT_OK);
    assert_int_equal(chosen, 2);
    f.members[2].segments_free = 0;
    assert_int_equal(placement_choose(&f.map, owner, &owner, 1, NULL, 0, &room[1], &chosen),
                     CKPT_ERR_FULL);
    f.map.takes_last = true;
    assert_int_equal(placement_choose(&f.map, owner, &owner, 1, NULL, 0, &room[1], &chosen),
                     CKPT_OK);
    assert_int_equal(chosen, 1);
    f.members[1].usable = false;
    assert_int_equal(placement_choose(&f.map, owner, &owner, 1, NULL, 0, &room[1], &chosen),
                     CKPT_ERR_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_each_copy_in_its_own_domain_evenly),
        cmocka_unit_test(a_loss_moves_only_what_the_lost_member_held),
        cmocka_unit_test(one_domain_is_too_few),
        cmocka_unit_test(full_and_avoided_members_are_passed_over),
        cmocka_unit_test(who_is_to_go_is_the_last_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
