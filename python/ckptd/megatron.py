# SPDX-License-Identifier: Apache-2.0
"""Megatron-LM: what it calls checkpointing_context["local_checkpoint_manager"].

    manager = ckptd.megatron.LocalCheckpointManager("run", attempt=...)
    checkpointing_context = {"local_checkpoint_manager": manager}

A drop-in for nvidia-resiliency-ext's: save(state, iteration, is_async), find_latest(), load() and
local_ckpt_dir. Its tensors may lie anywhere; no rank waits for another to save; another world is
refused with a reason instead of hanging; copies are in other failure domains, proven by digest.

What a state is besides tensors goes as JSON. A state dict whose rest is no plain data, as that of
Megatron with its ShardedTensors, needs `dump` and `restore`, which make bytes of the rest and the
rest of bytes: which format is trusted is then said where they are given.
"""

from __future__ import annotations

import copy
from typing import Any, Callable, Sequence

import torch

from .checkpointer import settings_of_job
from .context import LATEST, Context
from .errors import NoCheckpoint, StateError
from .states import load_state, save_state

try:
    from nvidia_resiliency_ext.checkpointing.async_ckpt.core import AsyncRequest
    from nvidia_resiliency_ext.checkpointing.local.base_state_dict import TensorAwareStateDict
except ImportError:  # its interface as of 0.4, for where it is not installed
    from typing import NamedTuple

    class AsyncRequest(NamedTuple):  # type: ignore[no-redef]
        """What is still to be done for an asynchronous save."""

        async_fn: Callable[..., Any] | None
        async_fn_args: tuple[Any, ...]
        finalize_fns: list[Callable[[], Any]]

    TensorAwareStateDict = object  # type: ignore[assignment,misc]


class PlainState(TensorAwareStateDict):  # type: ignore[misc,valid-type]
    """A nested dictionary as a tensor-aware state dict, on any device."""

    def __init__(self, state_dict: Any) -> None:
        self.state_dict = state_dict
        self._hollow = False

    def _map(self, function: Callable[[torch.Tensor], Any], kind: type) -> None:
        def walk(value: Any) -> Any:
            if isinstance(value, dict):
                made = copy.copy(value)
                for key, part in value.items():
                    made[key] = walk(part)
                return made
            if isinstance(value, tuple) and hasattr(value, "_fields"):
                return type(value)(*map(walk, value))
            if isinstance(value, (list, tuple)):
                return type(value)(walk(part) for part in value)
            return function(value) if isinstance(value, kind) else value

        self.state_dict = walk(self.state_dict)

    @property
    def is_hollow(self) -> bool:
        return self._hollow

    @property
    def tensors(self) -> list[torch.Tensor]:
        found: list[torch.Tensor] = []
        self._map(lambda tensor: (found.append(tensor), tensor)[1], torch.Tensor)
        return found

    def pop_tensors(self) -> list[torch.Tensor]:
        found: list[torch.Tensor] = []

        def pop(tensor: torch.Tensor) -> _Place:
            found.append(tensor)
            return _Place(tensor)

        self._map(pop, torch.Tensor)
        self._hollow = True
        return found

    def insert_tensors(self, tensor_data: Sequence[torch.Tensor]) -> None:
        tensors = iter(tensor_data)
        self._map(lambda place: next(tensors), _Place)
        self._hollow = False

    def init_tensors(self) -> None:
        self._map(lambda place: torch.empty(place.shape, dtype=place.dtype, device=place.device),
                  _Place)
        self._hollow = False

    def copy_tensors_to_cpu(self, non_blocking: bool = False) -> None:
        self._map(lambda tensor: tensor.to("cpu", non_blocking=non_blocking), torch.Tensor)

    def restore_tensor_device(self, non_blocking: bool = True) -> None:
        """The device is the caller's to choose: tensors stay on the CPU."""

    def to_state_dict(self) -> Any:
        return self.state_dict


class _Place:
    def __init__(self, tensor: torch.Tensor) -> None:
        self.shape, self.dtype, self.device = tensor.shape, tensor.dtype, tensor.device


class LocalCheckpointManager:
    """save, find_latest, load and local_ckpt_dir; settings are those of ckptd.Context."""

    def __init__(self, run: str | None = None, *, attempt: int | None = None,
                 rank: int | None = None, world: int | None = None, timeout: float = 60.0,
                 dump: Callable[[Any], bytes] | None = None,
                 restore: Callable[[bytes], Any] | None = None, **settings: Any) -> None:
        if (dump is None) != (restore is None):
            raise StateError("CKPT_ERR_INVALID", "dump and restore go together")
        self.timeout, self._dump, self._restore = timeout, dump, restore
        self._settings = {**settings_of_job(run, attempt, rank, world), **settings}
        self._context = Context(**self._settings)

    @property
    def local_ckpt_dir(self) -> str:
        """Where checkpoints are: no directory, but a name for people."""
        return f"ckptd:{self._settings['run']}/{self._settings['rank']}"

    def save(self, state_dict: Any, iteration: int, is_async: bool = False) -> Any:
        """Stages the state; is_async returns an AsyncRequest that has nothing left but to wait."""
        if self._dump is None:
            whole: Any = {"state": state_dict.state_dict}
        else:
            tensors = state_dict.pop_tensors()
            try:
                whole = {"rest": self._dump(state_dict)}
            finally:
                state_dict.insert_tensors(tensors)
            whole["tensors"] = list(tensors)
        save_state(self._context, iteration, whole)

        def finish() -> None:
            self._context.wait(iteration, self.timeout)

        if is_async:
            return AsyncRequest(None, (), [finish])
        finish()
        return None

    def find_latest(self) -> int:
        """The newest consistent iteration, or -1. Waits for no other rank."""
        try:
            return self._context.info().step
        except NoCheckpoint:
            return -1

    def load(self, iteration: int = LATEST) -> tuple[Any, tuple[int, int, str]]:
        """(the state, (iteration, rank, run)): the same iteration for all ranks, or an error."""
        with self._context.load(iteration, self.timeout) as shard:
            whole, found = load_state(shard), shard.step
        if self._restore is None:
            if "state" not in whole:
                raise StateError("CKPT_ERR_INVALID", "saved with dump=: give restore= too")
            state = PlainState(whole["state"])
        else:
            state = self._restore(whole["rest"])
            state.insert_tensors(whole["tensors"])
        return state, (found, self._settings["rank"], self._settings["run"])

    def close(self) -> None:
        """Leaves the run."""
        self._context.close()
