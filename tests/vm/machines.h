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
#define TIMEOUT_MS 3000
#define PATIENCE_S 60 /* far above every deadline: a hang fails, a slow machine does not */

struct card {
    uint8_t address[CKPT_WORKER_ADDRESS_MAX], descriptor[CKPT_DESCRIPTOR_MAX];
    size_t address_bytes, descriptor_bytes;
};

struct world {
    struct transport *reader;
    struct transport_region *region;
    struct transport_endpoint *endpoint;
    struct card card;
    unsigned seen[READS], ended, disconnected;
    enum ckpt_status status[READS];
};

/* What the reader opens; "verbs" unless a test says otherwise before setup(). */
extern const char *machines_spec;

/* The byte of a source at an offset. */
uint8_t pattern(uint64_t offset);

/* Has the first machine do it: "start" (a source), "kill", "stop", "continue", "deregister",
 * "revoke", or a command of the shell. */
void order(const char *what, struct card *card_out);
void set_link(const char *interface, bool up);
void join(struct world *w);
int setup(void **state);
int teardown(void **state);
void turn(struct world *w);
void wait_for(struct world *w, const unsigned *counter, unsigned value);
enum ckpt_status start(struct world *w, uint64_t index);
void start_all(struct world *w);
void get_going(struct world *w);
unsigned check_all(struct world *w);
void read_all(struct world *w);
void expect_status(const struct world *w, enum ckpt_status a, enum ckpt_status b);
uint64_t received(const char *interface);
void expect_use(struct world *w, const char *interface);

/* The main of both machines: run is called in the second one. 77 outside of the machines. */
int machines_main(int count, char **arguments, int (*run)(void));

#endif
