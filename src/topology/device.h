/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what a PCI function is, from its ids and names. Pure but for
 * topology_device_has_physfn. */
#ifndef CKPT_TOPOLOGY_DEVICE_H
#define CKPT_TOPOLOGY_DEVICE_H

#include <stdbool.h>

#include "topology/node_topology.h"

/* Whether the function is a GPU that computes. is_compute: a compute API (CUDA, NVML, OpenCL, ROCm,
 * Level Zero) shows a device on it, which settles it. Without that:
 *  - NVIDIA: any display class (0x03xx);
 *  - AMD: "3D" and "other display" controllers, and processing accelerators (0x1200: MI300). A VGA
 *    controller of AMD is taken for display only, as the ES1000 on many server boards is;
 *  - others: never; they are what the board's management processor draws its console with. */
bool topology_device_is_gpu(const struct topology_place *place, bool is_compute);

/* Whether the name of an OS device ("cuda0") or its subtype ("CUDA") is that of a compute API. */
bool topology_device_is_compute(const char *name, const char *subtype);

/* Whether ids or the device's name from the PCI database say that it is a virtual function. The ids
 * are those of NVIDIA (Mellanox) and of Intel's and Broadcom's RDMA devices; a virtual function of
 * another maker in a recording without device names is not recognised. */
bool topology_device_is_virtual_function(const struct topology_place *place, const char *name);

/* Whether this machine's kernel says so. Looks into /sys/bus/pci. */
bool topology_device_has_physfn(const struct topology_place *place);

/* Order of device names in which mlx5_2 comes before mlx5_10: as strcmp. */
int topology_device_compare_names(const char *left, const char *right);

#endif
