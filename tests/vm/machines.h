/* SPDX-License-Identifier: Apache-2.0 */
/* Two machines: the first serves and does what the second asks it to, the second reads and tests.
 * They talk by files of the folder that both see, so they still do when links are down. */
#ifndef CKPT_TESTS_VM_MACHINES_H
#define CKPT_TESTS_VM_MACHINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/transport.h"

#define READS 32
#define REGION_BYTES (READS * CKPT_MIB)
#define TIMEOUT_MS 5000 /* as an agent's, if nobody says otherwise */
#define PATIENCE_S 60   /* far above every deadline: a hang fails, a slow machine does not */

struct source_card {
    uint8_t address[CKPT_WORKER_ADDRESS_MAX], descriptor[CKPT_DESCRIPTOR_MAX];
    size_t address_bytes, descriptor_bytes;
};

struct world {
    unsigned reads; /* of CKPT_MIB each, READS unless a test says fewer */
    struct transport *reader;
    struct transport_region *region;
    struct transport_endpoint *endpoint;
    struct source_card card;
    const struct source_card *forged; /* if not NULL, every second read uses its descriptor */
    unsigned seen[READS], ended, disconnected;
    enum ckpt_status status[READS];
};

/* What the reader opens; "verbs" unless a test says otherwise before setup(). */
extern const char *machines_spec;

/* The byte of a source at an offset. */
uint8_t pattern(uint64_t offset);

/* ---- Both machines ---- */

void nap(void);
/* Opens a transport and registers REGION_BYTES, filled with the pattern or not. */
struct transport *open_one(const char *spec, struct transport_region **region_out, bool fill);
/* A file NAME.NUMBER of the folder that both see; it appears whole. get is false while it is not
 * there. */
void put(const char *name, unsigned number, const void *bytes, size_t count);
bool get(const char *name, unsigned number, void *bytes, size_t count_max, size_t *count_out);
/* At once: a shell would take longer than a read. */
void set_link(const char *interface, bool up);
double now(void);

/* ---- The first machine (director.c) ---- */

/* The main of a source: serves until its socket (descriptor 3) closes. */
int serve(void);
/* Does what the other machine orders, one order after another, until "end". */
int direct(void);

/* ---- The second machine ---- */

/* Has the first machine do it: "start" (a source), "kill", "stop", "continue", "deregister",
 * "revoke", "start other", "kill other" (a second source), "down IF", "up IF" (a link), or a
 * command of the shell. order waits until it is done, ask does not: await_answer does, and returns
 * at once when nothing was asked. */
void order(const char *what, struct source_card *card_out);
void ask(const char *what);
void await_answer(struct source_card *card_out);

void join(struct world *w);
int setup(void **state);
int teardown(void **state);
/* Makes progress once, and sleeps for so long at most if there is nothing to do. */
void turn(struct world *w, int timeout_ms);
void wait_for(struct world *w, const unsigned *counter, unsigned value);
enum ckpt_status start(struct world *w, uint64_t index);
void start_all(struct world *w);
void get_going(struct world *w);
unsigned check_all(struct world *w);
void read_all(struct world *w);
uint64_t received(const char *interface);
void expect_use(struct world *w, const char *interface);

/* The main of both machines: run is called in the second one. 77 outside of the machines. */
int machines_main(int count, char **arguments, int (*run)(void));

#endif
