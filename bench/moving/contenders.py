# SPDX-License-Identifier: Apache-2.0
"""Who moves bytes in bench/peers.py, how each is set, and what may be said of its number."""

import dataclasses

from moving import ours
from moving.pair import Pair

TCP, MEMORY, FABRIC = "TCP over loopback", "shared memory", "Soft-RoCE"
RAW = ("raw_read_gbps", "raw_read_cpu_s_per_gb")
REPLICATE = ("replicate_gbps", "replicate_cpu_s_per_gb")
PROVEN = "BLAKE3 at both ends"


@dataclasses.dataclass(frozen=True)
class Contender:
    name: str
    medium: str
    setting: str
    make: object  # bytes -> Pair or Run
    note: str = ""  # what is to be known of the number
    proof: str = "no"
    moved: int = 1  # times the bytes, where both ends send


def paired(module, environment=None, reads="reader"):
    return lambda count: Pair(module, count, environment or {}, reads)


def measured(case, transport, figures, library=None):
    environment = {"LD_LIBRARY_PATH": library} if library else {}
    return lambda count: ours.Run(case, transport, count, environment, figures)


def over_fabric(device):
    """Those that read by RDMA, where there is a device: in a guest of tests/vm/vm.py.

    NIXL's wheel has a libibverbs of its own, and drivers of the machine register with the
    machine's: without that in front it sees no device but those whose driver it brings, mlx5's."""
    return [
        Contender("ckptbench raw", FABRIC, "verbs", measured("raw", "verbs", RAW)),
        Contender("NIXL 1.5.1 READ", FABRIC, "UCX_TLS=rc, system's libibverbs", paired(
            "nixl_read", {"UCX_TLS": "rc", "UCX_NET_DEVICES": f"{device}:1",
                          "LD_PRELOAD": "libibverbs.so.1"})),
        Contender("Mooncake 0.3.13 read", FABRIC, "rdma",
                  paired("mooncake_read", {"PEERS_DEVICE": device})),
    ]


def with_newest_ucx(library):
    return [
        Contender("ckptbench raw", TCP, "ucx:tcp, UCX 1.22.0",
                  measured("raw", "ucx:tcp", RAW, library)),
        Contender("ckptbench raw", MEMORY, "ucx:shm, UCX 1.22.0",
                  measured("raw", "ucx:shm", RAW, library)),
    ]


def all_of_them():
    library = ours.library_folder()
    return [
        Contender("kernel's sockets", TCP, "one connection", paired("sockets"), "a bound"),
        Contender("memcpy", MEMORY, "both map it", paired("memory"), "a bound"),
        Contender("ckptbench raw", TCP, "ucx:tcp, system's UCX", measured("raw", "ucx:tcp", RAW)),
        Contender("ckptbench raw", MEMORY, "ucx:shm, system's UCX",
                  measured("raw", "ucx:shm", RAW)),
        *(with_newest_ucx(library) if library else []),
        Contender("ckptd, save to CONSISTENT", TCP, "ucx:tcp",
                  measured("cycle", "ucx:tcp", REPLICATE),
                  "its copy, both digests and the commit included", PROVEN),
        Contender("NIXL 1.5.1 READ", TCP, "UCX_TLS=tcp", paired("nixl_read", {"UCX_TLS": "tcp"}),
                  "a get in software, which nobody would deploy"),
        Contender("NIXL 1.5.1 READ", MEMORY, "UCX's own choice", paired("nixl_read")),
        Contender("Mooncake 0.3.13 read", TCP, "tcp", paired("mooncake_read")),
        Contender("lm-resiliency 0.2.0 replica", TCP, "Gloo, two ranks",
                  paired("gloo", reads="both"), "both send; its copy in host memory included",
                  moved=2),
        Contender("torch DCP", MEMORY, "a folder in memory", paired("files", reads="in turn"),
                  "dcp.save by one process, dcp.load by the other"),
    ]
