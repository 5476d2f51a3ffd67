# SPDX-License-Identifier: Apache-2.0
"""Consistent checkpoints as files on a shared file system, written behind training's back.

Each rank writes its own shard, as it is in memory, to

    DIRECTORY/step-STEP/shard-00001-model-00001-of-00001.safetensors

under another name first, synced and renamed, so that a file that is there is whole. The names are
those that PyTorch's HuggingFaceStorageReader looks for: it opens the directory without ckptd.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Mapping

from .context import Context
from .errors import Error, Timeout, UsageError

_BLOCK = 16 << 20


def file_name(rank: int) -> str:
    """The name of a rank's shard."""
    return f"shard-{rank + 1:05}-model-00001-of-00001.safetensors"


def export(context: Context, directory: str, step: int, rank: int, timeout: float = 600.0) -> str:
    """Writes one rank's shard of a consistent step; the file's path. Raises Error, OSError."""
    folder = os.path.join(directory, f"step-{step}")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, file_name(rank))
    with context.fetch(rank, step, timeout) as shard:
        part = f"{path}.part-{os.getpid()}"
        with open(part, "wb", buffering=0) as file:
            memory = shard.file()
            for begin in range(0, len(memory), _BLOCK):
                block = memory[begin : begin + _BLOCK]
                while len(block) > 0:
                    block = block[file.write(block) :]
                del block
            del memory
            os.fsync(file.fileno())
        os.rename(part, path)
    return path


class Persister:
    """One thread that exports this rank's steps, the newest first when it falls behind."""

    def __init__(self, settings: Mapping[str, Any], directory: str, every: int) -> None:
        self.directory, self.every = directory, max(1, every)
        self._settings = {**settings, "reader": True}
        self._wanted: int | None = None
        self._ended = False
        self._wake = threading.Condition()
        self._failures: dict[int, str] = {}
        self._thread = threading.Thread(target=self._run, name="ckptd-persist", daemon=True)
        self._thread.start()

    def add(self, step: int) -> None:
        """A step was staged."""
        if step % self.every == 0:
            with self._wake:
                self._wanted = step
                self._wake.notify()

    def _take(self) -> int | None:
        with self._wake:
            self._wake.wait_for(lambda: self._wanted is not None or self._ended)
            step, self._wanted = self._wanted, None
            return step

    def _run(self) -> None:
        while (step := self._take()) is not None:
            try:
                self._persist(step)
            except (Error, OSError) as error:
                self._failures[step] = str(error)

    def _persist(self, step: int) -> None:
        with Context(**self._settings) as context:
            while True:
                try:
                    context.info(step)
                    break
                except Error as error:
                    if error.status != "CKPT_ERR_NOT_FOUND" and \
                            error.status != "CKPT_ERR_NO_CHECKPOINT":
                        raise
                with self._wake:
                    if self._ended or self._wake.wait_for(lambda: self._wanted, 0.05):
                        return
            export(context, self.directory, step, self._settings["rank"])

    def wait(self, step: int, timeout: float) -> None:
        """Until every rank's file of the step is there. Timeout, UsageError, Error."""
        if step % self.every != 0:
            raise UsageError("CKPT_ERR_STEP", f"step {step} is not persisted: every "
                                              f"{self.every}th is")
        deadline = time.monotonic() + timeout
        folder = os.path.join(self.directory, f"step-{step}")
        names = [file_name(rank) for rank in range(self._settings["world"])]
        while not all(os.path.exists(os.path.join(folder, name)) for name in names):
            if step in self._failures:
                raise Error("CKPT_ERR_DISK", f"step {step} was not persisted: "
                                             + self._failures[step])
            if time.monotonic() > deadline:
                raise Timeout("CKPT_ERR_TIMEOUT", f"step {step} is not persisted yet: ask again")
            time.sleep(0.02)

    def close(self) -> None:
        """Ends the thread after what it is writing."""
        with self._wake:
            self._ended = True
            self._wake.notify()
        self._thread.join()
