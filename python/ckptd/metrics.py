# SPDX-License-Identifier: Apache-2.0
"""What each save cost, for the caller's own metrics."""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable

from .errors import Error, Timeout

_log = logging.getLogger("ckptd")
_LOOK_SECONDS = 1.0  # after which the thread sees whether it is to end


@dataclass(frozen=True)
class Saved:
    """One save: `stall` is how long save() blocked, `consistent` how long after its begin every
    rank's shard had its copies, equal by digest; both in seconds. `error` is why it never will."""

    step: int
    stall: float
    consistent: float | None
    error: Error | None


class Observer:
    """A thread that waits for saves, in the order they were made, and tells of each."""

    def __init__(self, tell: Callable[[Saved], Any]) -> None:
        self._tell = tell
        self._queue: queue.SimpleQueue[tuple[Any, float, float] | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ckptd-metrics", daemon=True)
        self._thread.start()

    def add(self, handle: Any, began: float, stall: float) -> None:
        self._queue.put((handle, began, stall))

    def _run(self) -> None:
        while (one := self._queue.get()) is not None:
            handle, began, stall = one
            saved = self._wait(handle, began, stall)
            if saved is None:
                return
            try:
                self._tell(saved)
            except Exception:  # the caller's: it must not end what is told of later saves
                _log.exception("the metrics callback failed")

    def _wait(self, handle: Any, began: float, stall: float) -> Saved | None:
        while not self._ended.is_set():
            try:
                handle.consistent(_LOOK_SECONDS)
                return Saved(handle.step, stall, time.monotonic() - began, None)
            except Timeout:
                continue
            except Error as error:
                return Saved(handle.step, stall, None, error)
        return None

    def close(self) -> None:
        """Ends the thread; what is not consistent by then is not told of."""
        self._ended.set()
        self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()
