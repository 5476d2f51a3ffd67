# SPDX-License-Identifier: Apache-2.0
"""Two processes, a source and a reader, that move bytes between them in a contender's way.

A contender is a module of this package with a class `Source` and a class `Reader`:

    Source(bytes)           memory filled by `fill`; `.card` is what the reader is told (picklable)
    Reader(bytes, card)     `.read()` moves the bytes once and returns when all are there;
                            `.view()` is what it has, as an array of numpy

A read consists of the reader's `read()`; with reads="both" also of the source's, at once; with
reads="in turn" of the source's before it. Both ends may have `.close()`. Each lives in a process
of its own, started afresh, so that a library is loaded with the environment that its contender
names.
"""

import importlib
import multiprocessing
import os
import time
import traceback

import numpy

ANSWER_S = 400  # an emulated machine loads PyTorch in minutes
SEED = 20


def fill(count):
    """The bytes that every source has: random ones, so that nobody compresses or shares them."""
    return numpy.random.default_rng(SEED).integers(0, 256, count, dtype=numpy.uint8)


def cpu_s():
    used = os.times()
    return used.user + used.system


def quiet():
    """What libraries print goes nowhere: a table is being drawn. Errors come over the pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def serve(module, role, count, pipe):
    """Runs in the child: answers what the parent asks until it says to end."""
    quiet()
    try:
        contender = importlib.import_module(f"moving.{module}")
        if role == "source":
            end = contender.Source(count)
            pipe.send(("card", end.card))
        else:
            end = contender.Reader(count, pipe.recv())
            pipe.send(("ready", None))
        while (ask := pipe.recv()) != "end":
            pipe.send((ask, answer(end, ask, count)))
        if hasattr(end, "close"):
            end.close()
    except EOFError:
        pass
    except Exception as error:  # a library's own kinds: told to the parent, who names the contender
        pipe.send(("failed", f"{type(error).__name__}: {error}\n{traceback.format_exc()}"))


def answer(end, ask, count):
    if ask == "cpu":
        return cpu_s()
    if ask == "check":
        return bool(numpy.array_equal(end.view(), fill(count)))
    begin = time.perf_counter()
    end.read()
    return time.perf_counter() - begin


class Pair:
    """A source and a reader of one contender. Threads of the parent: one."""

    def __init__(self, module, count, environment=(), reads="reader"):
        self.reads = reads
        self.pipes, self.processes = [], []
        start = multiprocessing.get_context("spawn")
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            for role in ("source", "reader"):
                ours, theirs = start.Pipe()
                process = start.Process(target=serve, args=(module, role, count, theirs),
                                        daemon=True)
                process.start()
                theirs.close()
                self.pipes.append(ours)
                self.processes.append(process)
        finally:
            os.environ.clear()
            os.environ.update(before)
        try:
            self.pipes[1].send(self._hear(0, "card"))
            self._hear(1, "ready")
        except Exception:
            self.close()
            raise

    def _hear(self, end, what):
        if not self.pipes[end].poll(ANSWER_S):
            raise RuntimeError(f"no answer within {ANSWER_S} s")
        said, value = self.pipes[end].recv()
        if said != what:
            raise RuntimeError(value.splitlines()[0])
        return value

    def _ask(self, end, what):
        self.pipes[end].send(what)
        return self._hear(end, what)

    def _cpu_s(self):
        return sum(self._ask(end, "cpu") for end in (0, 1))

    def read(self):
        """Seconds of one read of all bytes, and CPU seconds of both processes during it."""
        before = self._cpu_s()
        seconds = self._ask(0, "read") if self.reads == "in turn" else 0
        if self.reads == "both":
            self.pipes[0].send("read")
        seconds += self._ask(1, "read")
        if self.reads == "both":
            seconds = max(seconds, self._hear(0, "read"))
        return seconds, self._cpu_s() - before

    def is_right(self):
        """Whether the reader has the source's bytes now."""
        return self._ask(1, "check")

    def close(self):
        for pipe, process in zip(self.pipes, self.processes):
            try:
                pipe.send("end")
            except OSError:
                pass
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()
