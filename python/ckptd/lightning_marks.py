# SPDX-License-Identifier: Apache-2.0
"""The small files that stand for checkpoints in memory, and how none of them outlives its bytes.

A mark names run, step and id of a checkpoint. Newer checkpoints retire older ones, and a run ends;
so what a mark names is on loan to this process as soon as it is consistent. A mark that is still
there when the checkpoints of a later global step have been saved becomes a real file: at once when
nothing is saved for a while, and at the latest before a third global step is.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, Callable

from .context import Context, Shard
from .errors import Error

_log = logging.getLogger("ckptd")
_MARK = "ckptd"
_MARK_MAX = 4096  # bytes; a larger file is no mark
_QUIET = 1.0  # seconds after a save in which Lightning removes what it does not want any more


@dataclass(frozen=True)
class Mark:
    """What a path says: the checkpoint of a run under the step `step`, which is told from another
    of that number by its id. global_step is the trainer's own."""

    run: str
    step: int
    global_step: int = -1
    id: str = ""


def read_mark(path: Any) -> Mark | None:
    """What a path of ours says; None for anything else."""
    try:
        if os.path.getsize(path) > _MARK_MAX:
            return None
        with open(path, encoding="utf-8") as file:
            said = json.load(file)[_MARK]
        return Mark(str(said["run"]), int(said["step"]), int(said.get("global_step", -1)),
                    str(said.get("id", "")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_mark(path: str, mark: Mark) -> None:
    """Puts a mark in a path's place; never half of one."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    part = f"{path}.part"
    try:
        with open(part, "w", encoding="utf-8") as file:
            json.dump({_MARK: asdict(mark)}, file)
        os.replace(part, path)
    except BaseException:
        _unlink(part)
        raise


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


class Marks:
    """The marks of one run that this process answers for, and a thread that keeps them true.

    wait(step) returns when a step that this process saved is consistent, or raises what it failed
    with; open_reader() gives a context, which the thread closes; write(shard, path) makes a file.
    """

    def __init__(self, run: str, open_reader: Callable[[], Context],
                 wait: Callable[[int], None], write: Callable[[Shard, str], None]) -> None:
        self.run = run
        self._open, self._wait, self._write = open_reader, wait, write
        self._paths: dict[str, Mark] = {}
        self._new: dict[int, bool] = {}  # steps not held yet; whether this process saved them
        self._held: dict[int, Shard] = {}
        self._reader: Context | None = None  # the thread's
        self._groups: dict[int, int] = {}  # of a step: counts the global steps that were saved
        self._group, self._global_step = 0, -1
        self._due: float | None = None  # when older groups become files
        self._unwritten: set[str] = set()  # paths that could not become files, said once
        self._asked = self._served = 0
        self._ended = False
        self._wake = threading.Condition(threading.RLock())
        self._thread = threading.Thread(target=self._run, name="ckptd-marks", daemon=True)
        self._thread.start()

    # ---- the caller's ----

    def add(self, path: str, mark: Mark, is_saved: bool) -> None:
        """A mark was written; is_saved: its checkpoint too, just now."""
        with self._wake:
            self._paths[path] = mark
            if is_saved:
                self._new[mark.step] = True
                if mark.global_step != self._global_step:
                    self._group, self._global_step = self._group + 1, mark.global_step
                self._groups[mark.step] = self._group
                self._due = time.monotonic() + _QUIET
            self._ask()

    def adopt(self, folder: str) -> None:
        """Answers for what an earlier process has left in a folder, as far as it is still there."""
        try:
            names = os.listdir(folder or ".")
        except OSError:
            return
        with self._wake:
            for path in (os.path.join(folder, name) for name in names):
                mark = None if path in self._paths or os.path.islink(path) else read_mark(path)
                if mark is not None and mark.run == self.run:
                    self._paths[path] = mark
                    self._new.setdefault(mark.step, False)
            self._ask()

    def remove(self, path: str) -> None:
        """The path goes, be it a mark or a file by now."""
        with self._wake:
            self._paths.pop(path, None)
            os.unlink(path)
            self._ask()

    def look(self, mark: Mark, function: Callable[[Shard], Any]) -> Any:
        """function(shard) of a checkpoint that is on loan here; None when it is not."""
        with self._wake:  # which keeps the loan meanwhile
            shard = self._held.get(mark.step)
            return None if shard is None else function(shard)

    def settle(self, global_step: int, timeout: float) -> None:
        """Before a save of global_step: until that may retire whatever it likes.

        The bytes of each mark are on loan to this process then; with a new global step, those of
        all but the last one are in files. Says so in the log when that takes longer.
        """
        with self._wake:
            if global_step != self._global_step:
                self._due = 0.0
            self._ask()
            self._await(timeout)

    def _await(self, timeout: float) -> None:
        asked = self._asked
        if not self._wake.wait_for(lambda: self._served >= asked, timeout):
            _log.warning("run %s: not all of %s is held or written yet", self.run,
                         ", ".join(sorted(self._paths)))

    def close(self, timeout: float) -> None:
        """Every mark becomes a file: a run's memory is not kept for long after its end."""
        with self._wake:
            self._group, self._due = self._group + 1, 0.0
            self._ask()
            self._await(timeout)
        self.end()

    def end(self) -> None:
        """Leaves marks as they are, and gives the loans back."""
        with self._wake:
            self._ended = True
            self._wake.notify_all()
        self._thread.join()

    def _ask(self) -> None:
        self._asked += 1
        self._wake.notify_all()

    # ---- the thread ----

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._asked > self._served or self._ended,
                                    self._left())
                if self._ended:
                    break
                asked, is_due = self._asked, self._left() == 0
                new, self._new = sorted(self._new.items()), {}
                if is_due:
                    self._due = None
            for step, is_saved in new:
                self._hold(step, is_saved)
            self._make_files(is_due)
            with self._wake:
                self._served = asked
                self._wake.notify_all()
        for shard in self._held.values():
            shard.close()
        if self._reader is not None:
            self._reader.close()

    def _left(self) -> float | None:
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def _marks_of(self, step: int) -> dict[str, Mark]:
        """The paths that still say a step."""
        with self._wake:
            for path in [path for path, mark in self._paths.items()
                         if mark.step == step and read_mark(path) != mark]:
                del self._paths[path]
            return {path: mark for path, mark in self._paths.items() if mark.step == step}

    def _hold(self, step: int, is_saved: bool) -> None:
        if step in self._held or not self._marks_of(step):
            return
        try:
            if is_saved:
                self._wait(step)
            if self._reader is None:
                self._reader = self._open()
            shard = self._reader.fetch(0, step)
            with self._wake:
                self._held[step] = shard
        except Error as error:
            for path in self._marks_of(step):
                _log.error("%s names step %d of run %s, which is not there: %s", path, step,
                           self.run, error)

    def _make_files(self, is_due: bool) -> None:
        """Gives back what no mark names any more; makes files of what is older than the newest
        global step, when that is due."""
        for step in sorted(self._held):
            marks = self._marks_of(step).items()
            if marks and (not is_due or self._groups.get(step, 0) >= self._group):
                continue
            if all([self._make_file(path, mark) for path, mark in marks]):
                with self._wake:
                    self._held.pop(step).close()
                    self._groups.pop(step, None)

    def _make_file(self, path: str, mark: Mark) -> bool:
        part = f"{path}.ckptd-part"
        try:
            self._write(self._held[mark.step], part)
            with self._wake:
                if read_mark(path) == mark:  # neither removed nor another's by now
                    os.replace(part, path)
                self._paths.pop(path, None)
                self._unwritten.discard(path)
            return True
        except Exception as error:  # of the file system, or of what writes files here
            if path not in self._unwritten:
                _log.error("%s stays a mark of step %d, whose bytes this process keeps as long as "
                           "it lives, as it cannot be written: %s", path, mark.step, error)
            self._unwritten.add(path)
            return False
        finally:
            if os.path.exists(part):
                os.unlink(part)
