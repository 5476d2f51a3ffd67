# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint costs training: ckptd and its peers' own packages, in turns, in one run.

Usage: python_compare.py [--mib-per-rank 512] [--rounds 5] [--json FILE]

Two ranks on two agents of this machine, each bound to half of the CPUs, a state sharded by rows
over both, tensors in the CPU's memory. In every round every contender saves three times in a row
and the last counts: the others free and allocate gigabytes, and what that does to memory that is
long there is not what a save costs (docs/python.md); the table has the first as well. Each number
is the median over the rounds of the slower rank. Exits 1 when a target is missed. Needs build/venv
and a release build; peers that scripts/python_peers lists are fetched into build/peers, once.
"""

import argparse
import ctypes
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
os.environ.setdefault("CKPT_BIN", os.path.join(ROOT, "build/release/bin"))
os.environ.setdefault("CKPT_LIBRARY", os.path.join(ROOT, "build/release/lib/libckpt.so.0"))
os.environ.setdefault("CKPT_TIME_SCALE", "9")  # an arena of gigabytes is made in its time
os.environ.setdefault("PYTHONWARNINGS", "ignore")
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
sys.path[:0] = [os.path.join(ROOT, part) for part in
                ("python", "python/tests", "tests/integration/cluster", "bench")]
PEERS = os.path.join(ROOT, "build/peers")
sys.path.append(PEERS)  # after what build/venv has
os.environ["PYTHONPATH"] = os.path.join(ROOT, "python")

MIB = 1 << 20
TENSORS = 96
SMALL_TENSORS, SMALL_MIB = 10000, 10  # a state of many: what is looked at before each save
NEEDED = (46, 1024)  # MiB of memory: so many times a rank's state, and so many more
SAVES_IN_A_ROW = 3  # an agent has two slots for a rank in turn: each is written before it counts
BARS = (  # name, contender, measure, times, of which
    ("stall, of one memcpy", "ckptd", "stall", 1.10, "memcpy", "stall"),
    ("stall, of a blocking dcp.save", "ckptd", "stall", 0.10, "dcp.save", "stall"),
    ("stall, of lm-resiliency's blocking time", "ckptd", "stall", 0.80, "lm-resiliency", "stall"),
    ("second, verified copy, of dcp.save + copy + checksums", "ckptd", "verified", 1 / 3,
     "dcp.save", "verified"),
)


class Contender:
    """begin() is what training waits for; end() what happens behind it."""

    def __init__(self, state, model, folder, rank):
        self.state, self.model, self.folder, self.rank = state, model, folder, rank
        self.step = 0

    def begin(self):
        raise NotImplementedError

    def end(self):
        """Seconds from the begin until a second copy was verified; None where there is none."""

    def clean(self):
        shutil.rmtree(os.path.join(self.folder, "peer"), ignore_errors=True)


class Memcpy(Contender):
    """The same bytes into memory that is there already."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.parts = [(p.data_ptr(), p.numel() * 4) for p in locals_of(self.model)]
        self.to = ctypes.create_string_buffer(sum(size for _, size in self.parts))
        ctypes.memset(self.to, 1, len(self.to))

    def begin(self):
        at = ctypes.addressof(self.to)
        for address, size in self.parts:
            ctypes.memmove(at, address, size)
            at += size


class Ckptd(Contender):
    def __init__(self, *arguments, context, run="compare"):
        super().__init__(*arguments)
        import ckptd

        self.checkpoint = ckptd.attach(self.model, run=run, resume=False, **context)
        self.handle = None

    def begin(self):
        self.step += 1
        self.started = time.perf_counter()
        self.handle = self.checkpoint.save(self.step)

    def end(self):
        self.handle.consistent(60)
        return time.perf_counter() - self.started


class CkptdDcp(Contender):
    """dcp.async_save with ckptd as stager and storage."""

    def __init__(self, *arguments, context):
        super().__init__(*arguments)
        import ckptd

        self.writer = ckptd.dcp.Writer(ckptd.Context("compare-dcp", **context))

    def begin(self):
        import torch.distributed.checkpoint as dcp

        self.step += 1
        self.started = time.perf_counter()
        self.future = dcp.async_save(self.state, checkpoint_id=self.step,
                                     storage_writer=self.writer.at(self.step))

    def end(self):
        self.future.result()
        return time.perf_counter() - self.started


class DcpAsync(Contender):
    """dcp.async_save to tmpfs, staged by PyTorch."""

    def __init__(self, *arguments, stager):
        super().__init__(*arguments)
        self.stager = stager()

    def begin(self):
        import torch.distributed.checkpoint as dcp

        found = dcp.async_save(self.state, checkpoint_id=os.path.join(self.folder, "peer"),
                               async_stager=self.stager)
        self.future = getattr(found, "upload_completion", found)

    def end(self):
        self.future.result()


class DcpSave(Contender):
    """dcp.save to tmpfs; then each rank's file goes to another directory over loopback, and both
    are digested, by b3sum where it is installed."""

    def begin(self):
        import torch.distributed.checkpoint as dcp

        self.started = time.perf_counter()
        dcp.save(self.state, checkpoint_id=os.path.join(self.folder, "peer"))

    def end(self):
        mine = os.path.join(self.folder, "peer", f"__{self.rank}_0.distcp")
        copy = os.path.join(self.folder, "peer", f"copy-{self.rank}")
        copy_over_loopback(mine, copy)
        tool = ["b3sum", "--no-names"] if shutil.which("b3sum") else ["sha256sum"]
        sums = {subprocess.run([*tool, path], check=True, capture_output=True,
                               text=True).stdout.split()[0] for path in (mine, copy)}
        assert len(sums) == 1
        return time.perf_counter() - self.started


def copy_over_loopback(source, target):
    server = socket.create_server(("127.0.0.1", 0))

    def send():
        with socket.create_connection(server.getsockname()) as out, open(source, "rb") as file:
            out.sendfile(file)

    sender = threading.Thread(target=send)
    sender.start()
    connection, _ = server.accept()
    buffer = bytearray(4 * MIB)
    with connection, open(target, "wb", buffering=0) as file:
        while (got := connection.recv_into(buffer)) > 0:
            file.write(memoryview(buffer)[:got])
    sender.join()
    server.close()


class NvrxLocal(Contender):
    """nvidia-resiliency-ext's local checkpoint in tmpfs, one copy, no replication."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        from nvidia_resiliency_ext.checkpointing.local.basic_state_dict import (
            BasicTensorAwareStateDict,
        )
        from nvidia_resiliency_ext.checkpointing.local.ckpt_managers.local_manager import (
            LocalCheckpointManager,
        )

        self.wrap = BasicTensorAwareStateDict
        self.manager = LocalCheckpointManager(os.path.join(self.folder, f"nvrx-{self.rank}"))
        self.begin()  # says at once whether it runs without CUDA
        self.end()

    def begin(self):
        self.step += 1
        tensors = {str(i): p for i, p in enumerate(locals_of(self.model))}
        self.manager.save(self.wrap(tensors), self.step, is_async=False)

    def end(self):
        return None


class LmResiliency(Contender):
    """lm-resiliency's copy in host memory and its replica at the peer, by Gloo, unproven: without
    CUDA its copy is blocking. Its files are switched off."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        from lm_resiliency import InMemoryCkptConfig
        from lm_resiliency.checkpointing.manager import InMemoryCheckpointManager

        self.tensors = locals_of(self.model)
        self.manager = InMemoryCheckpointManager(InMemoryCkptConfig(
            replication_jump=1, disk_flush_interval=0, pin_memory=False, run_id="compare",
            disk_folder=os.path.join(self.folder, f"lm-{self.rank}")))

    def begin(self):
        self.step += 1
        self.started = time.perf_counter()
        self.manager.save_tensors(self.tensors, self.step)

    def end(self):
        if not self.manager.finalize_replication():
            raise RuntimeError("its replica did not arrive")
        self.second = time.perf_counter() - self.started


def fetch_peers():
    """Whether build/peers has what scripts/python_peers lists."""
    wanted = os.path.join(ROOT, "scripts/python_peers")
    made_of = os.path.join(PEERS, "made-of")
    with open(wanted, encoding="utf-8") as file:
        stamp = file.read()
    if os.path.exists(made_of) and open(made_of, encoding="utf-8").read() == stamp:
        return
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
                           "--upgrade", "--target", PEERS, "--requirement", wanted],
                          check=False, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"peers not fetched: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return
    with open(made_of, "w", encoding="utf-8") as file:
        file.write(stamp)


def reason_of(error):
    """One line: what it says, or the line of its own source that it failed at."""
    lines = str(error).splitlines()
    at = traceback.extract_tb(error.__traceback__)[-1]
    said = lines[0] if lines else f"`{at.line}` in its {os.path.basename(at.filename)}"
    return f"{type(error).__name__}: {said[:90]}"


def locals_of(model):
    return [p.detach().to_local() for p in model.parameters()]


def make_model(world, mib, tensors=TENSORS):
    """DTensors, sharded by rows; sizes that differ."""
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard

    mesh = init_device_mesh("cpu", (world,))
    each = mib * MIB // 4 // tensors
    columns = 1024 if each >= 1024 else 16
    model = torch.nn.Module()
    for index in range(tensors):
        rows = max(1, each * (1 + index % 3) // 2 // columns)
        local = torch.randn(rows, columns)
        model.register_parameter(f"w{index}", torch.nn.Parameter(
            DTensor.from_local(local, mesh, [Shard(0)], run_check=False)))
    return model


def save_once(contender, distributed, rank):
    """Of the slower rank: stall, seconds until a second copy was verified (0: never), and until
    there was one that nobody has verified."""
    import torch

    distributed.barrier()
    begin = time.perf_counter()
    contender.begin()
    stall = time.perf_counter() - begin
    contender.second = 0.0
    times = torch.tensor([stall, contender.end() or 0.0, contender.second])
    distributed.all_reduce(times, distributed.ReduceOp.MAX)
    if rank == 0:
        contender.clean()
    return times.tolist()


def rank_main(rank, world, say, *, mib, rounds, folder, socket, only, tensors=TENSORS):
    import torch.distributed as distributed
    from torch.distributed.checkpoint.staging import (
        BlockingAsyncStager,
        DefaultStager,
        StagingOptions,
    )

    warnings.simplefilter("ignore")
    if share := sorted(os.sched_getaffinity(0))[rank::world]:
        os.sched_setaffinity(0, share)  # as launchers do
    model = make_model(world, mib, tensors)
    run = "compare" if tensors == TENSORS else f"compare-{tensors}"
    state = {"model": {name: p.detach() for name, p in model.named_parameters()}}
    context = {"socket": socket, "rank": rank, "world": world}
    base = (state, model, folder, rank)
    wanted = {
        "memcpy": lambda: Memcpy(*base),
        "ckptd": lambda: Ckptd(*base, context=context, run=run),
        "ckptd, by dcp.async_save": lambda: CkptdDcp(*base, context=context),
        "dcp.async_save, its default stager": lambda: DcpAsync(
            *base, stager=lambda: DefaultStager(StagingOptions(False, False, False, False))),
        "dcp.async_save, shared memory": lambda: DcpAsync(
            *base, stager=lambda: DefaultStager(StagingOptions(False, True, False, False))),
        "dcp.async_save, blocking stager": lambda: DcpAsync(*base, stager=BlockingAsyncStager),
        "dcp.save": lambda: DcpSave(*base),
        "nvidia-resiliency-ext, local": lambda: NvrxLocal(*base),
        "lm-resiliency": lambda: LmResiliency(*base),
    }
    contenders = {}
    why = {"dcp.async_save, pinned memory": "needs CUDA",
           "DLRover, flash checkpoint": "not installed: brings a job master and gRPC of its own"}
    for name, make in wanted.items():
        if only and name not in only:
            continue
        try:
            contenders[name] = make()
        except Exception as error:
            why[name] = reason_of(error)
    times = {name: {"stall": [], "verified": [], "second": [], "first": []} for name in contenders}
    for number in range(-1, rounds):  # the first is for memory to be touched
        for name in list(contenders):
            # Of many tensors the others' take seconds each, and use no slots in turn.
            in_a_row = 1 if tensors != TENSORS and name != "ckptd" else SAVES_IN_A_ROW
            try:
                found = [save_once(contenders[name], distributed, rank) for _ in range(in_a_row)]
                if rank == 0:
                    print(f"round {number + 1} of {rounds}, {tensors} tensors, {name}: stall "
                          f"{found[-1][0] * 1e3:.1f} ms", file=sys.stderr, flush=True)
            except Exception as error:
                why[name] = reason_of(error)
                contenders.pop(name)
                continue
            if number >= 0:
                times[name]["first"].append(found[0][0])
                times[name]["stall"].append(found[-1][0])
                for kind, value in (("verified", found[-1][1]), ("second", found[-1][2])):
                    if value > 0:
                        times[name][kind].append(value)
    size = sum(p.numel() * 4 for p in locals_of(model))
    return {"bytes": size, "why": why, "rounds": times, "times": {
        name: {kind: statistics.median(values) for kind, values in kinds.items() if values}
        for name, kinds in times.items() if name not in why}}


def restore_main(rank, world, say, *, mib, socket, began):
    """A new attempt: the time of attach(), which restores."""
    import ckptd

    model = make_model(world, mib)
    begin = time.perf_counter()
    with ckptd.attach(model, run="compare", attempt=2, socket=socket, rank=rank, world=world,
                      timeout=30) as checkpoint:
        assert checkpoint.resumed is not None
    return time.perf_counter() - begin


class Case:
    def __init__(self):
        self.cleanups = []

    def addCleanup(self, function):
        self.cleanups.append(function)

    def has_failed(self):
        return False


def raw_transfer(size):
    """Seconds for so many bytes through one TCP connection over loopback, memory to memory."""
    server = socket.create_server(("127.0.0.1", 0))
    data, into = bytearray(size), bytearray(size)
    for memory in (data, into):
        memory[::4096] = b"x" * len(memory[::4096])
    sender = threading.Thread(
        target=lambda: socket.create_connection(server.getsockname()).sendall(data))
    begin = time.perf_counter()
    sender.start()
    connection, _ = server.accept()
    view, at = memoryview(into), 0
    while at < size:
        at += connection.recv_into(view[at:])
    sender.join()
    connection.close()
    server.close()
    return time.perf_counter() - begin


def print_table(found):
    size = found["bytes"]
    print(f"\n{2 * size / 2**30:.2f} GiB over 2 ranks, CPU tensors, {os.cpu_count()} CPUs, "
          f"load {os.getloadavg()[0]:.1f}; medians, the slower rank\n")
    print(f"{'':36} {'stall ms':>9} {'best':>7} {'GB/s':>6} {'of memcpy':>10} "
          f"{'2nd copy verified s':>20} {'unverified s':>13} {'first in a row ms':>18}")
    copy = found["times"]["memcpy"]["stall"]
    for name, kinds in found["times"].items():
        verified = f"{kinds['verified']:.2f}" if "verified" in kinds else "-"
        second = f"{kinds['second']:.2f}" if "second" in kinds else "-"
        best = min(found["rounds"][name]["stall"])
        print(f"{name:36} {kinds['stall'] * 1e3:9.1f} {best * 1e3:7.1f} "
              f"{size / kinds['stall'] / 1e9:6.2f} {kinds['stall'] / copy:10.2f} "
              f"{verified:>20} {second:>13} "
              f"{kinds['first'] * 1e3:18.1f}")
    for name, reason in found["why"].items():
        print(f"{name:36} not run: {reason}")
    for name, kinds in found.get("small", {}).get("times", {}).items():
        print(f"{SMALL_TENSORS} tensors: {name[:30]:29} {kinds['stall'] * 1e3:9.1f}")
    if "first" in found:
        import python_first

        python_first.print_first(found["first"])
    print(f"{'restore after a lost node':36} {found['restore'] * 1e3:9.1f}  "
          f"raw transfer {found['raw'] * 1e3:.1f} ms")


def judge(found):
    """Each target by medians, which decide, and by the best round, which load disturbs least."""
    missed = 0

    def value(name, kind, best):
        values = found["rounds"][name][kind]
        return min(values) if best else statistics.median(values)

    def staging(best):
        return min(value(name, "stall", best) for name in found["times"]
                   if name.startswith("dcp.async_save"))

    rows = [(text, most, [value(who, what, best) / value(other, of, best)
                          for best in (False, True)])
            for text, who, what, most, other, of in BARS if other in found["times"]]
    rows.append(("stall, of the best staging of dcp.async_save", 1.0,
                 [value("ckptd", "stall", best) / staging(best) for best in (False, True)]))
    small = found["small"]["rounds"]
    rows.append((f"stall with {SMALL_TENSORS} tensors, of the best of dcp.async_save", 0.5, [
        pick(small["ckptd"]["stall"]) / min(pick(times["stall"]) for name, times in small.items()
                                            if name != "ckptd")
        for pick in (statistics.median, min)]))
    if first := found.get("first"):
        firsts, tenths = ([one[which]["stall"] for one in first] for which in ("first", "tenth"))
        rows.append(("first save after attach, of the tenth", 1.15, [
            pick(firsts) / pick(tenths) for pick in (statistics.median, min)]))
    rows.append(("restore, of 2 x raw transfer + 1 s", 1.0,
                 [found["restore"] / (2 * found["raw"] + 1)] * 2))
    print(f"\n{'':7} {'median':>7} {'best':>7}")
    for text, most, (median, best) in rows:
        verdict = "met" if median <= most else "MISSED"
        missed += median > most
        print(f"{verdict:7} {median:7.2f} {best:7.2f}  at most {most:.2f}  {text}")
    return missed


def available_mib():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) // 1024 for line in file
                    if line.startswith("MemAvailable"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib-per-rank", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", help="a contender; none: all")
    parser.add_argument("--json")
    options = parser.parse_args()
    needed = NEEDED[0] * options.mib_per_rank + NEEDED[1]
    if (free := available_mib()) < needed:
        parser.error(f"it takes some {needed} MiB of memory and {free} are free: a smaller "
                     "--mib-per-rank?")
    fetch_peers()
    import cluster as clusters
    import python_first
    import ranks

    case, folder = Case(), tempfile.mkdtemp(prefix="ckptd-compare-", dir="/dev/shm")
    case.addCleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    # Three runs, each with its own and the other rank's shard, each twice, as one is kept while the
    # next is saved. Where there is less, segments change hands, and a save has to map them anew.
    arena = {"arena-bytes": f"{options.mib_per_rank * 12 + 512}MiB", "digest-threads": "2",
             "arena-segment-bytes": "64MiB", "arena-prefault-threads": "2"}
    try:
        cluster = clusters.Cluster(case, agents=3, agent=arena, coordinator={"keep": "1"},
                                   per_agent={2: {"arena-bytes": f"{options.mib_per_rank * 5}MiB"}})
        cluster.coordinator.start()
        for agent in cluster.agents[:2]:
            agent.start()
        cluster.wait_joined(cluster.agents[:2])
        sockets = [agent.socket for agent in cluster.agents]
        job = ranks.Job(2, rank_main, lambda rank: {"socket": sockets[rank]},
                        mib=options.mib_per_rank, rounds=options.rounds, folder=folder,
                        only=options.only)
        found = job.wait(1800)[0]
        if not options.only:
            job = ranks.Job(2, rank_main, lambda rank: {"socket": sockets[rank]}, mib=SMALL_MIB,
                            rounds=min(2, options.rounds), folder=folder,
                            tensors=SMALL_TENSORS,
                            only=["ckptd", "dcp.async_save, its default stager",
                                  "dcp.async_save, shared memory"])
            found["small"] = job.wait(1800)[0]
            job = ranks.Job(2, python_first.first_main, lambda rank: {"socket": sockets[rank]},
                            mib=options.mib_per_rank, rounds=max(3, options.rounds))
            found["first"] = job.wait(1800)[0]
        cluster.agents[2].start()
        cluster.wait_joined(cluster.agents[2:])
        cluster.agents[1].kill()
        cluster.agents[1].wipe()
        began = time.time()
        job = ranks.Job(2, restore_main, lambda rank: {"socket": sockets[2 * rank]},
                        mib=options.mib_per_rank, began=began)
        found["restore"] = max(job.wait(300))
        found["raw"] = statistics.median(raw_transfer(found["bytes"]) for _ in range(3))
    finally:
        for function in reversed(case.cleanups):
            function()
    print_table(found)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
    missed = 0 if options.only else judge(found)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
