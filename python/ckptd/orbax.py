# SPDX-License-Identifier: Apache-2.0
"""Orbax's CheckpointManager over ckptd: steps lie in the memory of two nodes, not in its folder.

    import orbax.checkpoint as ocp
    import ckptd.jax, ckptd.orbax

    checkpoint = ckptd.jax.Checkpointer("mine")
    manager = ocp.CheckpointManager(folder, item_handlers=ckptd.orbax.Handler(checkpoint))
    manager.save(step, args=ckptd.orbax.Save(state))
    state = manager.restore(step, args=ckptd.orbax.Restore(state))

A step's folder has one small file, ckptd.json, that says which step of which run is meant. Orbax
calls the step finished when ckptd has called it consistent. Which steps are still there is for
ckptctld to say (`keep`): a restore of one that is not raises ckptd's own error.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import orbax.checkpoint as ocp

from .errors import StateError, UsageError
from .jax import Checkpointer, Handle

_MARKER = "ckptd.json"
_STEP = re.compile(r"(\d+)(?:\.orbax-checkpoint-tmp.*)?\Z")  # "run_100.orbax-checkpoint-tmp-7"


@dataclass
class _Committed:
    """What Orbax waits for before it renames the step's folder.

    The folder is made meanwhile, by another of the futures that Orbax waits for before this one:
    it is written to here, and not where the tree is staged.
    """

    handle: Handle
    seconds: float
    note: Any  # the path of the file, on rank 0 alone
    text: str

    def result(self, timeout: float | None = None) -> None:
        self.handle.consistent(self.seconds if timeout is None else timeout)
        if self.note is not None:
            self.note.write_text(self.text)

    def cancel(self) -> bool:
        return False


class Handler(ocp.AsyncCheckpointHandler):
    """Saves a tree by ckptd.jax, and leaves a note of it in Orbax's folder.

    checkpoint  a ckptd.jax.Checkpointer; close it after the manager
    timeout     seconds in which a save must become consistent, and a restore must end
    """

    def __init__(self, checkpoint: Checkpointer, timeout: float = 60.0) -> None:
        self._checkpoint, self._timeout = checkpoint, timeout

    async def async_save(self, directory: Any, args: Save) -> list[_Committed]:
        """Stages the tree: it may be donated when this returns. UsageError when neither `args` nor
        the folder's name has a step; else as ckptd.jax.Checkpointer.save()."""
        step = _step_of(directory) if args.step is None else args.step
        handle = self._checkpoint.save(step, args.item)
        context = self._checkpoint.context
        note = directory / _MARKER if context.rank == 0 else None
        text = json.dumps({"run": context.run, "step": step})
        return [_Committed(handle, self._timeout, note, text)]

    def save(self, directory: Any, args: Save) -> None:
        """async_save(), and its end."""
        import asyncio

        for future in asyncio.run(self.async_save(directory, args)):
            future.result()

    def restore(self, directory: Any, args: Restore) -> Any:
        """The tree of the step that the folder names, placed as args.item is. StateError when it
        names another run; else as ckptd.jax.Checkpointer.restore()."""
        path = directory / _MARKER
        try:
            noted = json.loads(path.read_text())
            run, step = noted["run"], int(noted["step"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError("CKPT_ERR_CORRUPT", f"{path} does not name a step of ckptd: {error}"
                             ) from error
        if run != self._checkpoint.context.run:
            raise StateError("CKPT_ERR_NAME", f"{path} is of run {run}, and this is "
                                              f"{self._checkpoint.context.run}")
        return self._checkpoint.restore(args.item, step, self._timeout)


def _step_of(directory: Any) -> int:
    """From the folder of the step, or of an item in it."""
    for name in (directory.parent.name, directory.name):
        found = _STEP.search(name)
        if found:
            return int(found[1])
    raise UsageError("CKPT_ERR_STEP", f"{directory} has no step: say Save(item, step=)")


@ocp.args.register_with_handler(Handler, for_save=True)
@dataclass
class Save(ocp.args.CheckpointArgs):
    """What is to be saved, and as which step; None: the manager's."""

    item: Any
    step: int | None = None


@ocp.args.register_with_handler(Handler, for_restore=True)
@dataclass
class Restore(ocp.args.CheckpointArgs):
    """What is wanted: a tree of arrays, or of jax.ShapeDtypeStruct with shardings."""

    item: Any
