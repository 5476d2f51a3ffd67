/* SPDX-License-Identifier: Apache-2.0 */
/* The network devices of this machine, for the head of a report. */
#ifndef CKPTBENCH_NICS_H
#define CKPTBENCH_NICS_H

#include <stddef.h>

/* "eth0 10000Mb/s, mlx5_0:1 ACTIVE 200 Gb/sec (4X HDR)": interfaces that are up and ports of RDMA
 * devices, as /sys shows them, in the order of names, as many as fit; without the loopback. ""
 * when there are none. */
void nics_read(char *text_out, size_t size);

#endif
