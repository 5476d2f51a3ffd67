# SPDX-License-Identifier: Apache-2.0
"""Lightning: Trainer(plugins=[ckptd.lightning.CheckpointIO("run", attempt=...)]).

Each checkpoint that Lightning asks for is staged in the agent's memory, and the path gets a small
file, a mark, that names it. A path with a mark is loaded from memory; any other, and every save
while no agent answers, goes to the wrapped CheckpointIO. As Lightning lets rank 0 save what is
replicated, the run has a world of one here; sharded strategies use torch.distributed.checkpoint.

Two checkpoints of one global step are two, unless they have the same content. A mark that is still
there when newer checkpoints retire its bytes, or at the end of training, becomes a real file.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

try:
    from lightning.fabric.plugins import TorchCheckpointIO
    from lightning.fabric.plugins import CheckpointIO as _CheckpointIO
except ImportError:
    from lightning_fabric.plugins import TorchCheckpointIO
    from lightning_fabric.plugins import CheckpointIO as _CheckpointIO

from . import plain
from .context import LATEST, Context, Shard
from .errors import Error, Lost, NoCheckpoint, StateError
from .lightning_marks import Mark, Marks, read_mark, write_mark
from .states import load_state, save_state
from .tensors import dense

_log = logging.getLogger("ckptd")
_ID = "ckptd.id"  # of the checkpoint, saved with it
_PATIENCE = 5.0  # seconds that a save waits for what the saves before it have left to do


def fingerprint(state: Any) -> bytes:
    """A digest of all that a state is."""
    tensors: list[torch.Tensor] = []

    def take(path: str, value: torch.Tensor) -> bool:
        tensors.append(value)
        return True

    whole = hashlib.sha256(plain.dumps(plain.split(state, "state", take)))
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        for digest in pool.map(_digest, tensors):
            whole.update(digest)
    return whole.digest()


def _digest(tensor: torch.Tensor) -> bytes:
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(memoryview(dense(tensor).reshape(-1).view(torch.uint8).numpy()))
    return digest.digest()


class CheckpointIO(_CheckpointIO):
    """Saves to the agents' memory; settings are those of ckptd.Context, but rank and world.

    files=False leaves marks as they are: they name bytes that newer checkpoints retire.
    """

    def __init__(self, run: str, *, wraps: _CheckpointIO | None = None, timeout: float = 60.0,
                 files: bool = True, **settings: Any) -> None:
        self.run, self.timeout, self.files, self._settings = run, timeout, files, settings
        self._wraps = TorchCheckpointIO() if wraps is None else wraps
        self._context: Context | None = None
        self._marks: Marks | None = None
        self._folders: set[str] = set()  # looked through for marks of an earlier process
        self._last: Mark | None = None
        self._saved: int | None = None  # the run's step of the newest save
        self._print: bytes | None = None  # of the newest save's content
        self._repeats = False  # one global step has been asked for twice

    # ---- save ----

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any,
                        storage_options: Any = None) -> None:
        """Returns when the state is copied. A second path for the same content costs a small file.

        Waits, five seconds at most, for the last save to be consistent, where it is not yet, and
        for a checkpoint that is to become a file before its bytes may be retired.
        """
        path = os.fspath(path)
        if "://" in path:
            self._wraps.save_checkpoint(checkpoint, path, storage_options)
            return
        try:
            mark, is_saved = self._stage(checkpoint, os.path.dirname(path))
        except StateError:
            raise
        except Error as error:
            _log.warning("%s goes to a file, not to ckptd: %s", path, error)
            self._wraps.save_checkpoint(checkpoint, path, storage_options)
            return
        write_mark(path, mark)
        if self._marks is not None:
            self._marks.add(path, mark, is_saved)

    def _stage(self, checkpoint: dict[str, Any], folder: str) -> tuple[Mark, bool]:
        """The mark of what is in memory now, and whether it was put there by this call."""
        global_step = int(checkpoint.get("global_step", 0))
        self._repeats |= self._last is not None and self._last.global_step == global_step
        content = fingerprint(checkpoint) if self._repeats else None
        if self._last is not None and content is not None and content == self._print:
            return self._last, False
        context = self._open()
        if self._marks is not None:
            if folder not in self._folders:
                self._folders.add(folder)
                self._marks.adopt(folder)
            self._marks.settle(global_step, _PATIENCE)
        mark = Mark(self.run, max(global_step, self._newest(context) + 1), global_step,
                    secrets.token_hex(16))
        save_state(context, mark.step, {**checkpoint, _ID: mark.id})
        self._last, self._saved, self._print = mark, mark.step, content
        return mark, True

    def _open(self) -> Context:
        if self._context is None:
            self._context = Context(self.run, **self._settings)
            self._saved = None
            if self.files:
                self._marks = Marks(self.run, self._reader, self._wait_for, self._write)
        return self._context

    def _newest(self, context: Context) -> int:
        """The newest step of the run, by whomever; -1 for none. Steps rise, whatever is trained."""
        if self._saved is not None:
            return self._saved
        try:
            return context.info(LATEST).step
        except NoCheckpoint:
            return -1

    def _wait_for(self, step: int) -> None:
        context = self._context
        if context is not None:
            context.wait(step, self.timeout)

    def wait(self, timeout: float | None = None) -> None:
        """Until the newest save is consistent. Timeout, or what it failed with."""
        if self._context is not None and self._saved is not None:
            self._context.wait(self._saved, self.timeout if timeout is None else timeout)

    # ---- load ----

    def _reader(self, run: str | None = None) -> Context:
        settings = {key: value for key, value in self._settings.items() if key != "copies"}
        return Context(run or self.run, reader=True, **settings)

    def load_checkpoint(self, path: Any, map_location: Any = None,
                        weights_only: bool | None = None) -> dict[str, Any]:
        """From memory where the path says so; nothing there can be anything but data.

        Lost, which names path, run and step, when the bytes are gone or are another checkpoint's.
        """
        mark = read_mark(path)
        if mark is None:
            return self._wraps.load_checkpoint(path, map_location, weights_only)
        marks = self._marks
        if marks is not None and marks.run == mark.run:
            held = marks.look(mark, lambda shard: self._state_of(shard, mark))
            if held is not None:
                return held
        try:
            with self._reader(mark.run) as context:
                with context.fetch(0, mark.step, self.timeout) as shard:
                    return self._state_of(shard, mark)
        except Lost as error:
            raise Lost(error.status, f"{os.fspath(path)} names step {mark.step} of run {mark.run}, "
                                     f"which is not there any more: {error.reason}") from error

    @staticmethod
    def _state_of(shard: Shard, mark: Mark | None = None) -> dict[str, Any]:
        whole = load_state(shard)
        if mark is not None and mark.id != whole.pop(_ID, ""):  # "": saved before there were ids
            raise Lost("CKPT_ERR_NOT_FOUND", "another checkpoint has that step now")
        whole.pop(_ID, None)
        return whole

    def _write(self, shard: Shard, path: str) -> None:
        """A real file, by what writes files here; at once, also where that does it later."""
        writer = self._wraps
        while isinstance(inner := getattr(writer, "checkpoint_io", None), _CheckpointIO):
            writer = inner
        writer.save_checkpoint(self._state_of(shard), path)
        with open(path, "rb") as file:
            os.fsync(file.fileno())

    # ---- the rest ----

    def remove_checkpoint(self, path: Any) -> None:
        """The small file goes; what is in memory is retired when newer steps have come."""
        if read_mark(path) is None:
            self._wraps.remove_checkpoint(path)
        elif self._marks is not None:
            self._marks.remove(os.fspath(path))
        else:
            os.unlink(path)

    def teardown(self) -> None:
        """Makes files of all marks that are left, which takes as long as that does."""
        self._wraps.teardown()
        if self._marks is not None:
            marks, self._marks = self._marks, None
            marks.close(max(self.timeout, 600.0)) if self.files else marks.end()
        self._folders.clear()
        self._last = self._print = None
        if self._context is not None:
            self._context.close()
            self._context = None
