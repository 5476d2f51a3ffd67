# SPDX-License-Identifier: Apache-2.0
"""The memory of the saves to come, made ready before they come (include/ckpt/ckpt.h: ckpt_prepare).

At once where training has not begun; later, as after the first step, in a thread of its own, which
a save ends when it finds it.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Callable

from .context import Context, Table
from .errors import Error

_log = logging.getLogger("ckptd")

_TENSOR_BYTES = 200  # of a header, beside the name, which is there twice
_REST_SHARE, _REST_BYTES = 64, 256 << 10  # of what is not described: a 64th, and no more than that


def shard_bytes(table: Table) -> int:
    """What a shard of the table takes, or somewhat more: its tensors, its header, and what else is
    saved, which only a save asks for."""
    size = table.bytes + sum(_TENSOR_BYTES + 2 * len(name) for name in table.names())
    return size + min(size // _REST_SHARE + 4096, _REST_BYTES)


class Preparer:
    """Prepares for one context. Nothing that goes wrong is of training's concern: it is logged."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def run(self, context: Context, size: int) -> None:
        """In the calling thread."""
        try:
            context.prepare(size)
        except Error as error:
            _log.info("run %s: the first saves will map their memory themselves: %s", context.run,
                      error)

    def start(self, context: Context, size: int) -> None:
        """In a thread, once the one before is done."""
        self.stop(context)
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, args=(context, size),
                                        name="ckptd-prepare", daemon=True)
        self._thread.start()

    def _run(self, context: Context, size: int) -> None:
        if not self._is_stopped:
            self.run(context, size)

    def wait(self) -> None:
        """Until what start() began is done."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def stop(self, context: Context) -> None:
        """Ends what start() began: within 32 MiB of memory."""
        if self._thread is not None and self._thread.is_alive():
            self._is_stopped = True
            context.stop_preparing()
        self.wait()


def after_first_step(optimizers: list[Any], call: Callable[[], None]) -> list[Any]:
    """Calls once after each optimizer's first step, when it has its state. The hooks' handles."""
    handles: list[Any] = []
    for optimizer in optimizers:
        hook = getattr(optimizer, "register_step_post_hook", None)
        if hook is None or getattr(optimizer, "state", None):
            continue

        def stepped(*_: Any, index: int = len(handles)) -> None:
            handles[index].remove()
            call()

        handles.append(hook(stepped))
    return handles
