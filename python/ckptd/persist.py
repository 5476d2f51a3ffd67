# SPDX-License-Identifier: Apache-2.0
"""Consistent checkpoints as files on a shared file system, written behind training's back.

Each rank writes its own shard, as it is in memory, and a small record of what it is:

    DIRECTORY/step-STEP/shard-00001-model-00001-of-00001.safetensors
    DIRECTORY/step-STEP/shard-00001.json        run, step, attempt, rank, world, bytes, digest, kind
    DIRECTORY/step-STEP/ckptd.json               whose folder it is

in a folder whose name ends in ".part" until rank 0 has found every rank's record there: a folder
step-STEP is whole, and nobody else's. The names are those that PyTorch's HuggingFaceStorageReader
looks for: it opens the folder without ckptd.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import deque
from typing import Any, Mapping

from .context import LATEST, Context, Info
from .errors import Error, Lost, NoCheckpoint, Timeout, UsageError
from .persist_folder import Folder, Record, finish_earlier, write_shard

_log = logging.getLogger("ckptd")
_KEPT = 256  # steps of which the outcome is remembered
_PAUSES = (0.02, 1.0)  # seconds between two looks at a folder: the first, and at most


def export(context: Context, directory: str, step: int, rank: int, timeout: float = 600.0) -> str:
    """Writes one rank's shard of a consistent step into DIRECTORY/step-STEP; the file's path.

    The file is synced, and there under its name only when it is whole. Raises Error, OSError.
    """
    folder = os.path.join(directory, f"step-{step}")
    os.makedirs(folder, exist_ok=True)
    with context.fetch(rank, step, timeout) as shard:
        return write_shard(folder, shard)


def _kind(error: Error) -> str:
    """A reason without the numbers in it, such as the step's: what is said once."""
    return re.sub(r"\d+", "", error.reason)


class Persister:
    """One thread that writes this rank's steps, oldest first; on rank 0 it also names the folders.

    A step that is retired before its turn is given up by every rank alike, and said to be. What
    fails is logged, once for a reason, and is `failure` until a step is persisted again.
    """

    def __init__(self, settings: Mapping[str, Any], directory: str, every: int = 1) -> None:
        self.directory, self.every = directory, max(1, every)
        self.failure: Error | None = None
        self._settings = {**settings, "reader": True}
        self._rank: int = settings["rank"]
        self._queue: deque[int] = deque()
        self._unnamed: deque[Folder] = deque()  # rank 0: those that are not whole yet
        self._own: dict[int, tuple[Record, int]] = {}  # what was written, and the step's bytes
        self._failures: dict[int, Error] = {}
        self._whole: set[int] = set()
        self._known: deque[int] = deque(maxlen=_KEPT)
        self._end: float | None = None  # when close() gives up
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="ckptd-persist", daemon=True)
        self._thread.start()

    def add(self, step: int, chosen: bool = False) -> None:
        """A step was staged; a chosen one is written whatever its number. Never blocks."""
        if step % self.every == 0 or chosen:
            with self._wake:
                self._known.append(step)
                self._queue.append(step)
                self._wake.notify()

    # ---- the thread ----

    def _run(self) -> None:
        pause = _PAUSES[0]
        if self._rank == 0:
            finish_earlier(self.directory, self._settings["run"])
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._queue or self._end is not None,
                                    pause if self._unnamed else None)
                step = self._queue.popleft() if self._queue else None
                ended = self._end is not None
            if step is not None:
                self._attempt(step, self._persist)
                pause = _PAUSES[0]
            self._name_folders()
            if ended and not self._queue and (not self._unnamed or time.monotonic() > self._end):
                break
            if step is None:
                time.sleep(pause if ended else 0)
                pause = min(_PAUSES[1], pause * 1.5)
        for folder in self._unnamed:
            self._failed(folder.step, Timeout(
                "CKPT_ERR_TIMEOUT", "not every rank has written its part before the end"))

    def _attempt(self, step: int, function: Any, *arguments: Any) -> None:
        try:
            function(step, *arguments)
        except Error as error:
            self._failed(step, error)
        except OSError as error:
            self._failed(step, Error("CKPT_ERR_DISK", str(error)))
        except Exception as error:  # the thread has to go on with the next step
            _log.debug("persisting step %d", step, exc_info=True)
            self._failed(step, Error("CKPT_ERR_INTERNAL", f"{type(error).__name__}: {error}"))

    def _failed(self, step: int, error: Error) -> None:
        if self.failure is None or _kind(self.failure) != _kind(error):
            _log.warning("step %d was not persisted to %s: %s", step, self.directory, error)
        self.failure = error
        self._remember(self._failures, step, error)

    def _remember(self, found: dict[int, Any], step: int, value: Any) -> None:
        with self._wake:
            found[step] = value
            for old in sorted(found)[:-_KEPT]:
                del found[old]

    def _persist(self, step: int) -> None:
        with Context(**self._settings) as context:
            info = self._await(context, step)
            folder = Folder(self.directory, context.run, step, info.attempt, info.world)
            folder.make(self._rank)
            with context.fetch(self._rank, step, 600.0) as shard:
                record = folder.add(shard)
            self._remember(self._own, step, (record, info.bytes))
            if self._rank == 0:
                folder.bytes = info.bytes
                self._unnamed.append(folder)
        if self._rank != 0:
            self._recovered(step)

    def _recovered(self, step: int) -> None:
        if self.failure is not None:
            _log.info("step %d was persisted to %s again", step, self.directory)
            self.failure = None

    def _await(self, context: Context, step: int) -> Info:
        """Until the step is consistent. Lost once it cannot be any more, Timeout at the end."""
        while True:
            newest = self._look(context, LATEST)
            info = self._look(context, step)
            if info is not None:
                return info
            if newest is not None and newest.step > step:
                raise Lost("CKPT_ERR_RETIRED", f"step {newest.step} is consistent, and this one "
                           "is not there (any more): where files are slower than saving, persist "
                           "less often (persist_every)")
            with self._wake:
                self._wake.wait_for(lambda: self._end is not None, 0.05)
            if self._end is not None:
                if time.monotonic() > self._end:
                    raise Timeout("CKPT_ERR_TIMEOUT", "it was not consistent before the end")
                time.sleep(0.02)

    @staticmethod
    def _look(context: Context, step: int) -> Info | None:
        try:
            return context.info(step)
        except NoCheckpoint:
            return None
        except Lost as error:
            if error.status == "CKPT_ERR_NOT_FOUND":
                return None
            raise

    def _name_folders(self) -> None:
        """Rank 0's: a folder that every rank has written to gets its name.

        Ranks write in one order, so what is older than a whole one, and is not, never will be.
        """
        for folder in list(self._unnamed):
            self._attempt(folder.step, self._name_folder, folder)
            if folder.step in self._failures and folder in self._unnamed:
                self._unnamed.remove(folder)

    def _name_folder(self, step: int, folder: Folder) -> None:
        if not folder.is_whole(folder.part):
            return
        while self._unnamed[0] is not folder:
            late = self._unnamed.popleft()
            self._failed(late.step, Lost("CKPT_ERR_NOT_FOUND", "another rank did not write its "
                                                               "part, and says why"))
        folder.publish()
        self._unnamed.popleft()
        folder.remove_older_parts()
        self._recovered(step)

    # ---- the caller's ----

    def wait(self, step: int, timeout: float) -> None:
        """Until the step's folder is whole: every rank's file of this very checkpoint.

        Timeout; Error with the reason why it will not be; UsageError for a step that is not one of
        those that were added.
        """
        with self._wake:
            known = step in self._known
        if not known and step % self.every != 0:
            raise UsageError("CKPT_ERR_STEP", f"step {step} is not persisted: every "
                                              f"{self.every}th is")
        if not known:
            raise UsageError("CKPT_ERR_STEP", f"step {step} is none of the last {_KEPT} that were "
                                              "saved to be persisted")
        deadline = time.monotonic() + timeout
        while not self._is_whole(step):
            if step in self._failures:
                error = self._failures[step]
                raise Error(error.status, f"step {step} was not persisted: {error.reason}")
            if time.monotonic() > deadline:
                raise Timeout("CKPT_ERR_TIMEOUT", f"step {step} is not persisted yet: ask again")
            time.sleep(0.02)

    def _is_whole(self, step: int) -> bool:
        if step not in self._whole and step in self._own:
            own, whole_bytes = self._own[step]
            folder = Folder(self.directory, own.run, step, own.attempt, own.world)
            folder.bytes = whole_bytes
            if folder.is_whole(folder.path, own):
                self._whole.add(step)
        return step in self._whole

    def close(self, timeout: float = 15.0) -> None:
        """Ends the thread once what was added is written, as far as it is consistent in time.

        timeout, in seconds, is for what other ranks have to do; this rank's writing is not hurried.
        """
        with self._wake:
            self._end = time.monotonic() + timeout
            self._wake.notify()
        self._thread.join()

