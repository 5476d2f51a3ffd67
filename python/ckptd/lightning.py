# SPDX-License-Identifier: Apache-2.0
"""Lightning: Trainer(plugins=[ckptd.lightning.CheckpointIO("run", attempt=...)]).

Each checkpoint that Lightning asks for is staged in the agent's memory, and the path gets a small
file that names run and step. A path with such a file is loaded from memory; any other, and every
save while no agent answers, goes to the wrapped CheckpointIO. As Lightning lets rank 0 save what is
replicated, the run has a world of one here; sharded strategies use torch.distributed.checkpoint.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any

try:
    from lightning.fabric.plugins import TorchCheckpointIO
    from lightning.fabric.plugins import CheckpointIO as _CheckpointIO
except ImportError:
    from lightning_fabric.plugins import TorchCheckpointIO
    from lightning_fabric.plugins import CheckpointIO as _CheckpointIO

from .context import Context
from .errors import Error, StateError
from .states import load_state, save_state

_log = logging.getLogger("ckptd")
_MARK = "ckptd"


def _read_mark(path: Any) -> dict[str, Any] | None:
    """What a path of ours says; None for anything else."""
    try:
        if os.path.getsize(path) > 4096:
            return None
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found.get(_MARK) if isinstance(found, dict) else None


class CheckpointIO(_CheckpointIO):
    """Saves to the agents' memory; settings are those of ckptd.Context, but rank and world."""

    def __init__(self, run: str, *, wraps: _CheckpointIO | None = None, timeout: float = 60.0,
                 **settings: Any) -> None:
        self.run, self.timeout, self._settings = run, timeout, settings
        self._wraps = TorchCheckpointIO() if wraps is None else wraps
        self._context: Context | None = None
        self._last: int | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any,
                        storage_options: Any = None) -> None:
        """Returns when the state is copied. A second path for one step costs a small file."""
        step = int(checkpoint["global_step"])
        try:
            if step != self._last:
                if self._context is None:
                    self._context = Context(self.run, **self._settings)
                save_state(self._context, step, checkpoint)
                self._last = step
        except StateError:
            raise
        except Error as error:
            _log.warning("step %d goes to a file, not to ckptd: %s", step, error)
            self._wraps.save_checkpoint(checkpoint, path, storage_options)
            return
        os.makedirs(os.path.dirname(os.fspath(path)) or ".", exist_ok=True)
        part = f"{os.fspath(path)}.part"
        with open(part, "w", encoding="utf-8") as file:
            json.dump({_MARK: {"run": self.run, "step": step}}, file)
        os.replace(part, path)

    def wait(self, timeout: float | None = None) -> None:
        """Until the newest save is consistent. Timeout, or what it failed with."""
        if self._context is not None and self._last is not None:
            self._context.wait(self._last, self.timeout if timeout is None else timeout)

    def load_checkpoint(self, path: Any, map_location: Any = None,
                        weights_only: bool | None = None) -> dict[str, Any]:
        """From memory where the path says so; nothing there can be anything but data."""
        mark = _read_mark(path)
        if mark is None:
            return self._wraps.load_checkpoint(path, map_location, weights_only)
        settings = {key: value for key, value in self._settings.items() if key != "copies"}
        with Context(mark["run"], reader=True, **settings) as context:
            with context.fetch(0, mark["step"], self.timeout) as shard:
                return load_state(shard)

    def remove_checkpoint(self, path: Any) -> None:
        """The small file goes; what is in memory is retired when newer steps have come."""
        if _read_mark(path) is None:
            self._wraps.remove_checkpoint(path)
        else:
            os.unlink(path)

    def teardown(self) -> None:
        self._wraps.teardown()
        if self._context is not None:
            self._context.close()
            self._context = None
