/* SPDX-License-Identifier: Apache-2.0 */
/* The machines of tests/topologies, and their parts by name. */
#ifndef CKPT_TESTS_TOPOLOGY_MACHINE_H
#define CKPT_TESTS_TOPOLOGY_MACHINE_H

#include "topology/distance.h"

/* Every file of tests/topologies, up to NULL. */
extern const char *const machine_names[];

/* Reads tests/topologies/<name>.xml; fails the test when that fails. */
struct topology *machine_read(const char *name);

/* "gpu0", "mlx5_0", "numa1"; fails the test when there is none. */
struct topology_end machine_end(const struct topology *topology, const char *name);

/* The place of the PCI function or bridge "0000:1b:00.0"; fails the test when there is none. */
uint32_t machine_place(const struct topology *topology, const char *busid);

#endif
