#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A restore in another world, where all ranks need the same bytes and one node has them: by the
group (each byte pulled once), beside each rank by itself, in turns.

    sudo build/venv/bin/python bench/fanout_gloo.py [--mib 96] [--mbit 400] [--turns 3] [--all]

One rank has saved on a node of its own; four (--ranks) under DistributedDataParallel go on from it,
each on a node with an agent of its own, by gloo. The nodes are network namespaces on a bridge, and
`tc` caps what the source sends (--all: what each node sends). Told are the seconds of the slowest
rank's restore and what has left the source. Ends with 1 when a target is missed: twice as fast, and
the ranks' part (1/4) of the bytes, with a fifth for headers and the chunks that two pieces share.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
os.environ.setdefault("CKPT_BIN", os.path.join(ROOT, "build/release/bin"))
os.environ.setdefault("CKPT_LIBRARY", os.path.join(os.environ["CKPT_BIN"], "../lib/libckpt.so.0"))
sys.path[:0] = [os.path.join(ROOT, folder) for folder in
                ("python", "tests/integration/cluster")]

TENSORS = 24
FASTER = 2.0
WAYS = {"each by itself": False, "by the group": None}


def model_of(mib):
    import torch

    side = max(8, int((mib * 2**20 / TENSORS / 4) ** 0.5))
    return torch.nn.ParameterList([torch.randn(side, side) for _ in range(TENSORS)])


def digest(model):
    found = hashlib.blake2b()
    for parameter in model.parameters():
        found.update(parameter.detach().numpy().data)
    return found.hexdigest()


def sent(space):
    """Bytes that have left a node."""
    found = subprocess.run(["ip", "-n", space, "-s", "-j", "link", "show", "eth0"], check=True,
                           capture_output=True, text=True).stdout
    return json.loads(found)[0]["stats64"]["tx"]["bytes"]


def rank_main(plan):
    """All turns of one rank; rank 0 tells of each, a line of JSON."""
    import torch
    import torch.distributed as distributed
    from torch.nn.parallel import DistributedDataParallel

    import ckptd

    torch.set_num_threads(1)
    rank, world = plan["rank"], plan["world"]
    distributed.init_process_group("gloo", init_method=f"file://{plan['store']}", rank=rank,
                                   world_size=world)
    model = DistributedDataParallel(model_of(plan["mib"]))
    for run, way, truth in plan["turns"]:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        distributed.barrier()
        before, began = sent(plan["source"]), time.monotonic()
        with ckptd.attach(model, run=run, socket=plan["socket"], rank=rank, world=world, attempt=2,
                          replicas=WAYS[way], restore_timeout=300, timeout=30) as checkpoint:
            mine = torch.tensor([time.monotonic() - began])
            assert checkpoint.resumed == 1
            assert digest(model) == truth, "what was restored is not what was saved"
            distributed.all_reduce(mine, distributed.ReduceOp.MAX)
            if rank == 0:
                print(json.dumps([way, mine.item(), sent(plan["source"]) - before]), flush=True)
            distributed.barrier()


class Nodes:
    """Network namespaces on a bridge; gone with this."""

    def __init__(self, count):
        self.names = [f"fan-{os.getpid()}-{i}" for i in range(count)]
        self.addresses = [f"10.98.7.{i + 1}" for i in range(count)]
        self._must("ip", "netns", "add", self.names[0])
        self._in(0, "ip", "link", "add", "br0", "type", "bridge")
        for place in range(count):
            if place > 0:
                self._must("ip", "netns", "add", self.names[place])
            self._in(0, "ip", "link", "add", f"v{place}", "type", "veth", "peer", "name", "eth0",
                     "netns", self.names[place])
            self._in(0, "ip", "link", "set", f"v{place}", "master", "br0", "up")
            self._in(place, "ip", "address", "add", f"{self.addresses[place]}/24", "dev", "eth0")
            self._in(place, "ip", "link", "set", "lo", "up")
            self._in(place, "ip", "link", "set", "eth0", "up")
        self._in(0, "ip", "link", "set", "br0", "up")

    def cap(self, place, mbit):
        self._in(place, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", f"{mbit}mbit",
                 "burst", "256kb", "latency", "200ms")

    def command(self, place, *words):
        return ["ip", "netns", "exec", self.names[place], *words]

    def _in(self, place, *words):
        self._must(words[0], *(("-n", self.names[place]) if words[0] in ("ip", "tc") else ()),
                   *words[1:])

    @staticmethod
    def _must(*words):
        subprocess.run(words, check=True, timeout=20)

    def close(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False, timeout=20,
                           stderr=subprocess.DEVNULL)


class Case:
    def __init__(self):
        self.cleanups = []

    def addCleanup(self, function):
        self.cleanups.append(function)

    def has_failed(self):
        return False


def start_cluster(case, nodes, mib):
    """An agent a node, the coordinator on the first: the source is the second."""
    import cluster as clusters

    class Coordinator(clusters.Coordinator):
        def arguments(self):
            return nodes.command(0, *super().arguments())

    class Agent(clusters.Agent):
        def arguments(self):
            place = int(self.node[1:]) + 1
            found = [word.replace("127.0.0.1:0", f"{nodes.addresses[place]}:0")
                     for word in super().arguments()]
            return nodes.command(place, *found)

    made = clusters.Cluster(case, agents=0)
    made.coordinator = Coordinator(made, {"restore-timeout": "300s", "keep": "8"})
    made.coordinator.address = f"{nodes.addresses[0]}:0"
    made.agents = [Agent(made, f"n{place}", {
        "arena-bytes": f"{mib}MiB", "transport-devices": "eth0", "agent-pull-timeout": "60s",
        "transport-timeout": "30s"}) for place in range(len(nodes.names) - 1)]
    return made.start()


def save(run, socket, mib):
    """A checkpoint of one rank, in one copy; and its digest."""
    import ckptd

    model = model_of(mib)
    with ckptd.attach(model, run=run, socket=socket, rank=0, world=1, attempt=1, copies=1,
                      resume=False, timeout=30) as checkpoint:
        checkpoint.save(1).consistent(60)
    return digest(model)


def measure(options):
    case = Case()
    try:
        nodes = Nodes(options.ranks + 2)
        case.addCleanup(nodes.close)
        turns = [(f"fan/{number}/{place}", way) for number in range(options.turns)
                 for place, way in enumerate(WAYS)]
        cluster = start_cluster(case, nodes, options.mib * (len(turns) + 2) + 64)
        source = cluster.agents[0].socket
        turns = [(run, way, save(run, source, options.mib)) for run, way in turns]
        for place in range(1, len(nodes.names)) if options.all else (1,):
            nodes.cap(place, options.mbit)
        folder = tempfile.TemporaryDirectory()
        case.addCleanup(folder.cleanup)
        processes = []
        for rank in range(options.ranks):
            plan = {"rank": rank, "world": options.ranks, "mib": options.mib, "turns": turns,
                    "store": os.path.join(folder.name, "store"), "source": nodes.names[1],
                    "socket": cluster.agents[rank + 1].socket}
            processes.append(subprocess.Popen(
                nodes.command(rank + 2, sys.executable, __file__, "--plan", json.dumps(plan)),
                stdout=subprocess.PIPE if rank == 0 else None, text=True,
                env={**os.environ, "GLOO_SOCKET_IFNAME": "eth0"}))
            case.addCleanup(processes[-1].kill)
        found = [json.loads(line) for line in processes[0].stdout]
        if any(process.wait(60) for process in processes):
            raise SystemExit("a rank failed")
        return found
    finally:
        for function in reversed(case.cleanups):
            function()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=96, help="of state, the same in all ranks")
    parser.add_argument("--mbit", type=int, default=400, help="a second that the source may send")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--all", action="store_true", help="every node may send no more")
    parser.add_argument("--plan", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plan:
        return rank_main(json.loads(options.plan))
    results = measure(options)
    capped = "every node" if options.all else "the source"
    print(f"{options.mib} MiB for {options.ranks} ranks, {capped} capped at {options.mbit} Mbit/s, "
          f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; medians of {options.turns}")
    found = {}
    for way in WAYS:
        seconds = [one for name, one, _ in results if name == way]
        size = statistics.median(one for name, _, one in results if name == way)
        found[way] = (statistics.median(seconds), size)
        print(f"{way:15} {found[way][0]:6.2f} s (best {min(seconds):.2f})   "
              f"{size / 2**20:7.1f} MiB left the source")
    alone, group = found.values()
    missed = 0
    for text, value, most in (("time", group[0] / alone[0], 1 / FASTER),
                              ("bytes", group[1] / (options.mib * 2**20), 1.2)):
        missed += value > most
        print(f"{'met' if value <= most else 'MISSED':7} {value:.2f}  at most {most:.2f}  {text}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
