/* SPDX-License-Identifier: Apache-2.0 */
/* The end of connections. An id that is destroyed says goodbye to the peer. That waits for the port
 * to be up: on Soft-RoCE (6.1) a management message that finds no way out puts the device's queue
 * pair for all such messages in error, and no connection is made through that device again. */
#include "transport/verbs/farewell.h"
#include "transport/verbs/verbs.h"

#include <stdlib.h>

struct verbs_farewell {
    struct verbs_farewell *next;
    struct rdma_cm_id *id;
};

/* Whom the events of an id are for that nobody wants any more. */
static struct verbs_party nobody = {VERBS_NOBODY};

void verbs_id_forget(struct verbs_rail *rail, struct rdma_cm_id *id)
{
    /* What a removed device would do with a goodbye is nobody's worry any more. */
    struct verbs_farewell *farewell = rail->up || rail->removed ? NULL : malloc(sizeof(*farewell));

    if (farewell == NULL) {
        rdma_destroy_id(id);
        return;
    }
    id->context = &nobody;
    *farewell = (struct verbs_farewell){.next = rail->farewells, .id = id};
    rail->farewells = farewell;
}

void verbs_farewells_say(struct verbs_rail *rail)
{
    while (rail->farewells != NULL) {
        struct verbs_farewell *farewell = rail->farewells;
        rail->farewells = farewell->next;
        rdma_destroy_id(farewell->id);
        free(farewell);
    }
}

void verbs_farewells_tend(struct verbs *v)
{
    for (uint32_t i = 0; i < v->rails_count; i++) {
        if (v->rails[i].up) {
            verbs_farewells_say(&v->rails[i]);
        }
    }
}

void verbs_farewells_close(struct verbs *v)
{
    for (uint32_t i = 0; i < v->rails_count; i++) {
        verbs_farewells_say(&v->rails[i]);
    }
}
