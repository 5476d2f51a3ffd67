/* SPDX-License-Identifier: Apache-2.0 */
/* What a node is made of, as far as moving bytes cares: NUMA nodes, GPUs, the ports of its RDMA
 * devices, and the tree of PCI bridges they hang in. Read with hwloc once, from this machine or
 * from a recording of another one; from then on plain data that nothing changes.
 *
 * THREADS
 * Any; a topology may be read by several at once, but this machine by one alone, and while no other
 * thread uses the environment, in which one of hwloc's switches is set meanwhile. The reading
 * functions block (they look through /sys or parse), for tens of milliseconds; they bind the
 * calling thread to one CPU after another while this machine is looked at, and bind it back. */
#ifndef CKPT_TOPOLOGY_NODE_TOPOLOGY_H
#define CKPT_TOPOLOGY_NODE_TOPOLOGY_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

#define TOPOLOGY_NONE UINT32_MAX
#define TOPOLOGY_NAME_MAX 63

/* Where something is attached. A device whose numa_node is -1, as virtual machines like to say, on
 * a machine with several NUMA nodes is near none that we know of: nodes is 0. */
struct topology_locality {
    uint64_t nodes;   /* bit i: topology.numas[i] is local */
    uint32_t package; /* socket by its logical number, or TOPOLOGY_NONE: unknown, or several */
};

struct topology_numa {
    char name[TOPOLOGY_NAME_MAX + 1]; /* "numa1": numa and os_index */
    uint32_t os_index;                /* what mbind(2) calls it */
    uint32_t package;                 /* as in topology_locality */
    uint64_t memory_bytes;
    cpu_set_t cpus; /* those near it that we may use; CPUs above CPU_SETSIZE are left out */
};

enum topology_place_kind {
    TOPOLOGY_HOST_BRIDGE, /* where a PCI tree meets the CPU; has no bus id of its own */
    TOPOLOGY_BRIDGE,      /* PCI to PCI: a root port, or a port of a switch */
    TOPOLOGY_PCI,         /* one function of a device */
    TOPOLOGY_VIRTUAL,     /* a device without PCI, such as Soft-RoCE */
};

/* One object of the I/O forest. */
struct topology_place {
    enum topology_place_kind kind;
    uint32_t parent; /* index of the bridge above, or TOPOLOGY_NONE */
    struct topology_locality locality;
    uint32_t domain, bus, device, function;
    uint16_t class_id, vendor_id, device_id;
};

struct topology_gpu {
    char name[TOPOLOGY_NAME_MAX + 1];  /* "gpu0": numbered by PCI bus id, as nvidia-smi does */
    char model[TOPOLOGY_NAME_MAX + 1]; /* "" where not known */
    uint32_t place;
};

/* A port of an RDMA device. Every verbs device of the kernel is one here, also those that know no
 * reliable connections: the transport finds that out when it opens them. */
struct topology_port {
    char name[TOPOLOGY_NAME_MAX + 1 + 4]; /* "mlx5_0"; "mlx4_0:2" where a device has several */
    char device[TOPOLOGY_NAME_MAX + 1];   /* as libibverbs calls it */
    uint32_t number;                      /* from 1 */
    uint32_t place;
    bool is_down; /* when it was looked at; a state that is not known is not down */
    bool is_virtual_function;
};

struct topology {
    uint32_t numa_count, place_count, gpu_count, port_count;
    struct topology_numa *numas; /* in hwloc's order */
    struct topology_place *places;
    struct topology_gpu *gpus;   /* by PCI bus id */
    struct topology_port *ports; /* by name; numbers in names count as numbers */
};

/* Reads this machine. Its plugins that would start CUDA, OpenCL or an X client are left out: the
 * PCI tree and /sys tell what is needed. hwloc's own environment variables (HWLOC_XMLFILE,
 * HWLOC_SYNTHETIC) can put another machine in its place.
 *
 * RETURN VALUE
 * CKPT_OK, and *topology_out is the caller's to topology_delete. Else, with one line for a person
 * in reason_out:
 * CKPT_ERR_SYSTEM     hwloc could not look at the machine
 * CKPT_ERR_TOO_LARGE  more than CKPT_NUMA_NODES_MAX NUMA nodes or CKPT_IO_DEVICES_MAX devices
 * CKPT_ERR_MEMORY     out of memory */
enum ckpt_status topology_read_machine(struct topology **topology_out, char *reason_out,
                                       size_t reason_size);

/* Reads a recording: what `lstopo FILE.xml` of hwloc 2 writes. Only for files that one trusts:
 * hwloc 2.9 refuses most damaged ones, but crashes on some (docs/topology.md). Never in a daemon.
 *
 * RETURN VALUE
 * As topology_read_machine; and
 * CKPT_ERR_NOT_FOUND  the file cannot be read
 * CKPT_ERR_VERSION    written by hwloc 3
 * CKPT_ERR_CORRUPT    it is no recording, or a damaged one
 * CKPT_ERR_TOO_LARGE  also: a file of more than CKPT_TOPOLOGY_FILE_MAX bytes */
enum ckpt_status topology_read_file(const char *path, struct topology **topology_out,
                                    char *reason_out, size_t reason_size);

/* The same from a text of size bytes (without a terminating NUL; one behind them does not harm). */
enum ckpt_status topology_read_buffer(const char *text, size_t size, struct topology **topology_out,
                                      char *reason_out, size_t reason_size);

/* Makes a machine up, without I/O: "package:2 numa:2 core:4 pu:1" (hwloc's synthetic topologies).
 *
 * RETURN VALUE
 * As topology_read_machine; CKPT_ERR_INVALID when the description is none. */
enum ckpt_status topology_read_synthetic(const char *description, struct topology **topology_out,
                                         char *reason_out, size_t reason_size);

/* Frees it and sets *topology to NULL; *topology may be NULL. */
void topology_delete(struct topology **topology);

/* "0000:1b:00.0"; "-" for what has no bus id. */
struct topology_busid {
    char text[32];
};
struct topology_busid topology_place_busid(const struct topology_place *place);

/* The NUMA node, as an index of topology.numas, whose memory and threads serve the place best: the
 * first local one that has CPUs. TOPOLOGY_NONE when its locality is not known. */
uint32_t topology_place_numa(const struct topology *topology, uint32_t place);

#endif
