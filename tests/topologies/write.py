#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the made-up machines of this folder, in the format of hwloc 2: write.py [FOLDER]"""
import os
import sys
from xml.sax.saxutils import quoteattr

GPU_NVIDIA = ("0302", "10de", "2330")
GPU_AMD_MI300 = ("1200", "1002", "74a1")
CONSOLE = ("0300", "1a03", "2000")  # the drawing half of a management processor
NIC = ("0207", "15b3", "1021")
NIC_FUNCTION = ("0207", "15b3", "101e")
NIC_TWO_PORTS = ("0c06", "15b3", "1003")
MODELS = {GPU_NVIDIA: "NVIDIA H100 80GB HBM3"}


class Node:
    """One <object>; what it holds is written inside it."""

    def __init__(self, kind, attributes, *children):
        self.kind, self.attributes, self.children = kind, attributes, list(children)

    def write(self, out, depth=1):
        pad = "  " * depth
        text = "".join(f" {name}={quoteattr(str(value))}"
                       for name, value in self.attributes.items())
        if not self.children:
            out.append(f'{pad}<object type="{self.kind}"{text}/>')
            return
        out.append(f'{pad}<object type="{self.kind}"{text}>')
        for child in self.children:
            if isinstance(child, tuple):
                out.append(f'{pad}  <info name="{child[0]}" value="{child[1]}"/>')
            else:
                child.write(out, depth + 1)
        out.append(f"{pad}</object>")


def sets(nodes):
    """NUMA node n has the CPUs 2n and 2n + 1."""
    cpus = sum(3 << (2 * node) for node in nodes)
    mask = sum(1 << node for node in nodes)
    return {"cpuset": f"0x{cpus:08x}", "complete_cpuset": f"0x{cpus:08x}",
            "nodeset": f"0x{mask:08x}", "complete_nodeset": f"0x{mask:08x}"}


def numa(node, gib=512):
    return Node("NUMANode", {"os_index": node, **sets([node]), "local_memory": gib << 30})


def cpus(node):
    return [Node("Core", {"os_index": cpu, **one, "gp_index": 1000 + 2 * cpu},
                 Node("PU", {"os_index": cpu, **one, "gp_index": 1001 + 2 * cpu}))
            for cpu in (2 * node, 2 * node + 1)
            for one in [{**sets([node]), "cpuset": f"0x{1 << cpu:08x}",
                         "complete_cpuset": f"0x{1 << cpu:08x}"}]]


def package(index, nodes, *io):
    if len(nodes) == 1:
        inside = [numa(nodes[0]), *cpus(nodes[0]), *io]
    else:
        inside = [Node("Die", {"os_index": node, **sets([node])}, numa(node), *cpus(node),
                       *(io[i] if i < len(io) else []))
                  for i, node in enumerate(nodes)]
    return Node("Package", {"os_index": index, **sets(nodes)}, *inside)


def host(first, last, *below):
    return Node("Bridge", {"bridge_type": "0-1", "depth": 0,
                           "bridge_pci": f"0000:[{first}-{last}]"}, *below)


def bridge(busid, first, last, *below):
    return Node("Bridge", {"bridge_type": "1-1", "depth": 1,
                           "bridge_pci": f"0000:[{first}-{last}]", "pci_busid": f"0000:{busid}",
                           "pci_type": "0604 [1000:c030] [0000:0000] b0 00",
                           "pci_link_speed": "63.015385"}, *below)


def device(busid, ids, *below):
    infos = [("PCIDevice", MODELS[ids])] if ids in MODELS else []
    return Node("PCIDev", {"pci_busid": f"0000:{busid}",
                           "pci_type": f"{ids[0]} [{ids[1]}:{ids[2]}] [0000:0000] 00 00",
                           "pci_link_speed": "63.015385"}, *infos, *below)


def verbs(name, *states):
    return Node("OSDev", {"name": name, "osdev_type": 3},
                *((f"Port{i}State", state) for i, state in enumerate(states, 1)))


def nic(busid, name, *states, ids=NIC):
    return device(busid, ids, verbs(name, *(states or (4,))))


def switch(root, up, ports):
    """A switch at a root port: ports maps the bus behind each downstream port to what is there."""
    inside = f"{int(up, 16) + 1:02x}"
    last = list(ports)[-1]
    return bridge(root, up, last, bridge(
        f"{up}:00.0", inside, last,
        *(bridge(f"{inside}:{n:02x}.0", bus, bus, below)
          for n, (bus, below) in enumerate(ports.items()))))


def dgx():
    """8 GPUs in pairs, each pair behind a switch with 2 NICs; a storage NIC at each socket."""
    def pair(root, up, first, ports):
        return host(root[:2], f"{ports[3]:02x}", switch(root, up, {
            f"{ports[0]:02x}": device(f"{ports[0]:02x}:00.0", GPU_NVIDIA),
            f"{ports[1]:02x}": nic(f"{ports[1]:02x}:00.0", f"mlx5_{first}"),
            f"{ports[2]:02x}": device(f"{ports[2]:02x}:00.0", GPU_NVIDIA),
            f"{ports[3]:02x}": nic(f"{ports[3]:02x}:00.0", f"mlx5_{first + 1}")}))
    return [
        package(0, [0], host("00", "02", bridge("00:1c.0", "02", "02",
                                                device("02:00.0", CONSOLE))),
                pair("03:01.0", "04", 0, (0x07, 0x0c, 0x0f, 0x12)),
                pair("40:01.0", "41", 2, (0x47, 0x4b, 0x4e, 0x54)),
                host("60", "61", bridge("60:01.0", "61", "61", nic("61:00.0", "mlx5_4")))),
        package(1, [1], pair("80:01.0", "81", 5, (0x87, 0x8d, 0x90, 0x94)),
                pair("b0:01.0", "b1", 7, (0xb7, 0xba, 0xbd, 0xcc)),
                host("e0", "e1", bridge("e0:01.0", "e1", "e1", nic("e1:00.0", "mlx5_9"))))]


def asymmetric():
    """Cascaded switches, a port that is down, a device with two ports, a socket without NICs."""
    return [
        package(0, [0],
                host("00", "20", switch("00:01.0", "01", {
                    "04": device("04:00.0", GPU_NVIDIA),
                    "08": bridge("08:00.0", "09", "0a", bridge("09:00.0", "0a", "0a", nic(
                        "0a:00.0", "mlx5_0")))}),
                    bridge("00:02.0", "20", "20", nic("20:00.0", "mlx5_1"))),
                host("30", "31", bridge("30:01.0", "31", "31",
                                        device("31:00.0", GPU_AMD_MI300)))),
        package(1, [1],
                host("80", "88", switch("80:01.0", "81", {
                    "84": device("84:00.0", GPU_NVIDIA),
                    "85": device("85:00.0", GPU_NVIDIA),
                    "86": nic("86:00.0", "mlx5_2", 1),
                    "88": nic("88:00.0", "mlx5_10")})),
                host("90", "91", bridge("90:01.0", "91", "91", nic(
                    "91:00.0", "mlx4_0", 4, 1, ids=NIC_TWO_PORTS)))),
        package(2, [2], host("c0", "c1", bridge("c0:01.0", "c1", "c1",
                                                device("c1:00.0", GPU_NVIDIA))))]


def virtual_functions():
    """A NIC at each socket; the first has virtual functions, on the switch of the GPU."""
    return [
        package(0, [0], host("00", "06", switch("00:01.0", "01", {
            "04": device("04:00.0", GPU_NVIDIA),
            "06": Node("PCIDev", {"pci_busid": "0000:06:00.2",
                                  "pci_type": "0207 [15b3:101e] [0000:0000] 00 00",
                                  "pci_link_speed": "0.000000"}, verbs("mlx5_2", 4))}),
            bridge("00:02.0", "20", "20", nic("20:00.0", "mlx5_0"),
                   nic("20:00.1", "mlx5_1", ids=NIC_FUNCTION)))),
        package(1, [1], host("80", "81", bridge("80:01.0", "81", "81",
                                                nic("81:00.0", "mlx5_3"))))]


def guest():
    """A virtual machine with two NUMA nodes: all is on one root bus, whose numa_node is -1, and
    not in the order of bus ids."""
    return [
        package(0, [0]), package(1, [1]),
        host("00", "06", device("00:06.0", GPU_NVIDIA), device("00:05.0", GPU_NVIDIA),
             nic("00:07.0", "mlx5_0", ids=NIC_FUNCTION),
             nic("00:08.0", "mlx5_1", ids=NIC_FUNCTION)),
        verbs("rxe0", 4)]


def clusters():
    """Two NUMA nodes at socket 0 (sub-NUMA clusters), one at socket 1."""
    return [
        package(0, [0, 1], [host("00", "01", bridge("00:01.0", "01", "01",
                                                    nic("01:00.0", "mlx5_0")))],
                [host("40", "41", bridge("40:01.0", "41", "41",
                                         device("41:00.0", GPU_NVIDIA)))]),
        package(1, [2], host("80", "81", bridge("80:01.0", "81", "81",
                                                nic("81:00.0", "mlx5_1"))))]


MACHINES = {"dgx": (dgx, 2), "asymmetric": (asymmetric, 3), "clusters": (clusters, 3),
            "virtual-functions": (virtual_functions, 2), "guest": (guest, 2)}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for name, (make, nodes) in MACHINES.items():
        everywhere = sets(range(nodes))
        machine = Node("Machine", {
            "os_index": 0, **everywhere, "allowed_cpuset": everywhere["cpuset"],
            "allowed_nodeset": everywhere["nodeset"]}, *make())
        out = ['<?xml version="1.0" encoding="UTF-8"?>',
               '<!DOCTYPE topology SYSTEM "hwloc2.dtd">', '<topology version="2.0">']
        machine.write(out)
        out.append("</topology>")
        with open(os.path.join(folder, f"{name}.xml"), "w", encoding="ascii") as file:
            file.write("\n".join(out) + "\n")


main()
