/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix of classes as `nvidia-smi topo -m` prints it. */
#ifndef CKPT_TOPOLOGY_MATRIX_H
#define CKPT_TOPOLOGY_MATRIX_H

#include <stdio.h>

#include "topology/distance.h"

/* Rows and columns of the matrix: the GPUs, then the ports, then the NUMA nodes. */
uint32_t topology_matrix_size(const struct topology *topology);
struct topology_end topology_matrix_end(const struct topology *topology, uint32_t row);

/* Prints the matrix with headings GPU0, NIC0, NUMA0, and below it what they are. NUMA nodes have
 * the numbers of the operating system; NICs are numbered as topology.ports. Blocks as file does. */
void topology_matrix_print(const struct topology *topology, FILE *file);

#endif
