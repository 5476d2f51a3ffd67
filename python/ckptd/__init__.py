# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of PyTorch training in the memory of two nodes, proven equal by digest.

    import ckptd

    checkpoint = ckptd.attach(model, optimizer, extra={"loader": loader})
    for step in range(checkpoint.next_step, steps):
        train(step)
        checkpoint.save(step + 1)

ckptd.attach     the three lines above; ckptd.attach.__doc__ is its manual
ckptd.load       a run's state, for an evaluation or a notebook; ckptd.steps what there is of it
ckptd.dcp        StorageWriter, StorageReader and AsyncStager of torch.distributed.checkpoint
ckptd.lightning, ckptd.huggingface, ckptd.megatron      for those frameworks
ckptd.jax, ckptd.orbax      for JAX, and for Orbax's CheckpointManager
ckptd.Context    libckpt itself, without PyTorch
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from .context import LATEST, Context, Info, Shard, Table, Tensor
from .errors import (
    Aborted,
    Diverged,
    Error,
    Full,
    Lost,
    NoAgent,
    NoCheckpoint,
    NoCoordinator,
    StateError,
    Timeout,
    UsageError,
    WorldChanged,
)
from .library import version

__version__ = "0.1.0"
_MODULES = ("dcp", "huggingface", "jax", "lightning", "megatron", "orbax", "persist")
_TORCH = {"Checkpointer": "checkpointer", "Handle": "checkpointer", "attach": "checkpointer",
          "Saved": "metrics", "State": "runs", "load": "runs", "steps": "runs"}
__all__ = ["LATEST", "Aborted", "Context", "Diverged", "Error", "Full", "Info", "Lost", "NoAgent",
           "NoCheckpoint", "NoCoordinator", "Shard", "StateError", "Table", "Tensor", "Timeout",
           "UsageError", "WorldChanged", "version", *_TORCH]


def __dir__() -> list[str]:
    """All that can be named, for help() and pydoc; what needs PyTorch only where that is."""
    late = _TORCH if importlib.util.find_spec("torch") else ()
    return sorted({*(name for name in globals() if name not in _TORCH), *late})


def __getattr__(name: str) -> Any:
    """What needs PyTorch is imported when it is first named."""
    if name in _TORCH:
        value = getattr(importlib.import_module(f"ckptd.{_TORCH[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"ckptd.{name}")
    raise AttributeError(f"module 'ckptd' has no attribute {name!r}")
