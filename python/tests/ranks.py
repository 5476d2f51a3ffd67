# SPDX-License-Identifier: Apache-2.0
"""Ranks of a job as processes: forked from one server that has imported PyTorch already.

A rank runs one function of a test module, with torch.distributed (gloo) between them. It is ended
by its own id, with SIGKILL when a test says so.
"""

import multiprocessing
import os
import signal
import tempfile
import time
import traceback

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([
    "torch", "torch._dynamo", "torch.distributed.checkpoint.state_dict", "torch.distributed.fsdp",
    "torch.distributed.optim", "ckptd.checkpointer", "ckptd.dcp"])


class RankFailed(AssertionError):
    """A rank ended with an exception, or was killed without being asked to."""


def _main(function, rank, world, store, pipe, arguments):
    os.environ.update(GLOO_SOCKET_IFNAME="lo", RANK=str(rank), WORLD_SIZE=str(world))
    import torch
    import torch.distributed as distributed

    torch.set_num_threads(1)
    try:
        distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank,
                                       world_size=world)
        pipe.send(("result", function(rank, world, lambda note: pipe.send(("note", note)),
                                      **arguments)))
        distributed.barrier()
        distributed.destroy_process_group()
    except BaseException:
        pipe.send(("error", traceback.format_exc()))
        os._exit(1)


class Job:
    """One attempt: `function(rank, world, say, **arguments)` in every rank."""

    def __init__(self, world, function, per_rank=None, **arguments):
        self.world, self.notes = world, [[] for _ in range(world)]
        self.results, self.errors = [None] * world, [None] * world
        self._folder = tempfile.TemporaryDirectory()
        self._pipes, self.processes = [], []
        store = os.path.join(self._folder.name, "store")
        for rank in range(world):
            mine, theirs = _context.Pipe()
            more = per_rank(rank) if per_rank else {}
            process = _context.Process(target=_main, daemon=True, args=(
                function, rank, world, store, theirs, {**arguments, **more}))
            process.start()
            theirs.close()
            self._pipes.append(mine)
            self.processes.append(process)

    def look(self):
        """Takes what the ranks have said."""
        for rank, pipe in enumerate(self._pipes):
            try:
                while pipe.poll():
                    kind, value = pipe.recv()
                    if kind == "note":
                        self.notes[rank].append(value)
                    elif kind == "result":
                        self.results[rank] = value
                    else:
                        self.errors[rank] = value
            except (EOFError, OSError):
                pass

    def wait_note(self, condition, timeout=60):
        """Until condition(notes of all ranks)."""
        deadline = time.monotonic() + timeout
        while True:
            self.look()
            if condition(self.notes):
                return
            if any(self.errors) or time.monotonic() > deadline:
                raise RankFailed(next(filter(None, self.errors), f"not in time: {self.notes}"))
            time.sleep(0.005)

    def kill(self, *ranks):
        """SIGKILL to these ranks (all of them without any)."""
        for rank in ranks or range(self.world):
            if self.processes[rank].is_alive():
                os.kill(self.processes[rank].pid, signal.SIGKILL)
            self.processes[rank].join()
        self.look()

    def wait(self, timeout=90):
        """The results in rank order; RankFailed with the first traceback."""
        deadline = time.monotonic() + timeout
        while any(process.is_alive() for process in self.processes):
            self.look()
            if any(self.errors) or time.monotonic() > deadline:
                break
            time.sleep(0.005)
        self.look()
        late = [rank for rank, process in enumerate(self.processes) if process.is_alive()]
        ended = [process.exitcode for process in self.processes]  # None: alive
        self.kill()
        if any(self.errors):
            raise RankFailed(f"exit codes {ended}; {next(filter(None, self.errors))}")
        if late or any(process.exitcode != 0 for process in self.processes):
            raise RankFailed(f"ranks {late} not in time; exit codes "
                             f"{[process.exitcode for process in self.processes]}")
        return self.results


def run(world, function, **arguments):
    """A job from its begin to its end."""
    return Job(world, function, **arguments).wait()
