# SPDX-License-Identifier: Apache-2.0
"""A whole state that a framework hands over at once: a tree of dictionaries, tensors and numbers.

What the framework adapters are made of. A state is copied when save_state() returns; load_state()
gives new tensors.
"""

from __future__ import annotations

from typing import Any

import torch

from . import plain
from .context import Context, Shard, Table, Tensor
from .errors import StateError
from .library import C, ffi
from .names import shard_name
from .boxes import Box, sharding_metadata
from .tensors import dense, describe, view

STATE = "ckptd/state.json"


def save_state(context: Context, step: int, state: Any) -> None:
    """Stages the state as this rank's shard of the step. Raises ckptd.Error."""
    taken: list[tuple[str, torch.Tensor]] = []

    def take(path: str, value: torch.Tensor) -> bool:
        taken.append((path, dense(value)))
        return True

    line = plain.dumps(plain.split(state, "state", take))
    memory = ffi.from_buffer(line)
    tensors = [describe(path, tensor) for path, tensor in taken]
    boxes = [(path, Box((0,) * tensor.dim(), tuple(tensor.shape))) for path, tensor in taken]
    tensors.append(Tensor(STATE, "U8", (len(line),), int(ffi.cast(C["uintptr_t"], memory)),
                          len(line)))
    context.save(step, Table(tensors), sharding_metadata(boxes + [(STATE, Box((0,), (1,)))]))


def load_state(shard: Shard) -> Any:
    """The state of a shard that save_state() has made."""
    if STATE not in shard.entries:
        raise StateError("CKPT_ERR_NOT_FOUND", f"the shard has no {STATE}: something else saved it")
    tree = plain.loads(bytes(shard.data(STATE)))
    return plain.join(tree, lambda path: view(shard, shard_name(path)).clone())
