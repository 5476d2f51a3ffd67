# SPDX-License-Identifier: Apache-2.0
"""A run's state for an evaluation, an export or a notebook: read, without being a rank of it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any

import torch

from . import forms, names, optimizer_state, plain
from .context import LATEST, Context, Info, Shard
from .errors import Error, Timeout
from .restored import Giver, saved_state
from .boxes import Box, parts, shapes
from .tensors import view


@dataclass(frozen=True)
class State:
    """What attach() has saved of all ranks, put together. The tensors are copies, on the CPU.

    `model` is for load_state_dict() of the model without wrappers; `optimizers` have "kind",
    "groups", and "state" by the names of the parameters; `extra` is that of the rank asked for.
    """

    run: str
    step: int
    attempt: int
    world: int
    model: dict[str, Any]
    optimizers: list[dict[str, Any]]
    extra: Any


def load(run: str, step: int = LATEST, *, rank: int = 0, socket: str | None = None,
         timeout: float = 60.0) -> State:
    """The newest consistent state of a run, or that of a step.

    For a run that goes on, or one that has ended and whose checkpoint is there still: needs no
    attempt, holds no rank, waits for no other. rank: whose extra state, and whose values of what is
    no tensor. Raises NoCheckpoint, Lost and other ckptd.Errors; StateError where another way than
    attach() has saved the step.
    """
    with Context(run, reader=True, socket=socket) as context:
        info = context.info(step)
        whole = _Whole()
        for one in [rank, *(other for other in range(info.world) if other != rank)]:
            with context.fetch(one, info.step, timeout) as shard:
                whole.take(shard)
        return State(run, info.step, info.attempt, info.world, whole.named_model(),
                     whole.optimizers, whole.extra)


def steps(run: str, *, coordinator: str | None = None, timeout: float = 10.0) -> list[Info]:
    """The consistent checkpoints of a run, newest first.

    Asks the coordinator by ckptctl (of $CKPT_BIN, else on the path): coordinator is its address,
    where /etc/ckptd/ckptctl.conf and $CKPT_COORDINATOR do not say it. Raises Error.
    """
    program = os.path.join(os.environ.get("CKPT_BIN", ""), "ckptctl")
    command = [program, "list", run, "--json"]
    if coordinator is not None:
        command.append(f"--coordinator={coordinator}")
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        if told.returncode != 0:
            raise Error("CKPT_ERR_NO_COORDINATOR", told.stderr.strip() or told.stdout.strip())
        listed = json.loads(told.stdout)["checkpoints"]
        return [Info(one["step"], one["attempt"], one["world"], one["copies"], one["bytes"])
                for one in listed if one["state"] == "consistent"]
    except subprocess.TimeoutExpired:
        raise Timeout("CKPT_ERR_TIMEOUT", f"ckptctl did not answer in {timeout} s") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Error("CKPT_ERR_SYSTEM", f"ckptctl list {run}: {error}") from error


class _Whole:
    """Shards of all ranks, put together."""

    def __init__(self) -> None:
        self.extra: Any = None
        self.optimizers: list[dict[str, Any]] = []
        self._model: dict[str, Any] = {}
        self._aliases: dict[str, str] = {}
        self._forms: dict[str, Any] = {}
        self._is_first = True

    def take(self, shard: Shard) -> None:
        state, found, sizes = saved_state(shard), parts(shard), shapes(shard)
        give = Giver(shard, found)
        if self._is_first:
            self.extra = plain.join(state["rest"].get("extra"), give)
            self.optimizers = [_first_of(one, give) for one in state["optimizers"]]
            self._is_first = False
        self._aliases.update(state["model"]["aliases"])
        self._forms.update(state["model"]["forms"])
        for name, tree in state["model"]["values"].items():
            if name not in self._model:
                self._model[name] = plain.join(tree, give)
        for path, (inside, box) in found.items():
            name = names.model_name(path)
            if name is not None and name not in state["model"]["values"]:
                _place(self._model, name, view(shard, inside), box, sizes.get(path))
        for index, one in enumerate(state["optimizers"]):
            if "opaque" not in one:
                self._take_optimizer(index, one, shard, found, sizes, give)

    def _take_optimizer(self, index: int, saved: dict[str, Any], shard: Shard,
                        found: dict[str, tuple[str, Box]], sizes: dict[str, tuple[int, ...]],
                        give: Giver) -> None:
        state = self.optimizers[index]["state"]
        for name, tree in saved["state"].items():
            values = optimizer_state.join_state(tree, give)
            state[name] = {**values, **state.get(name, {})} if isinstance(values, dict) else values
        space = "optim" if len(self.optimizers) == 1 else f"optim.{index}"
        for path, (inside, box) in found.items():
            first, *keys = path.split("/")
            if first != space or len(keys) != 2 or any(map(names.is_key, keys)):
                continue
            name, key = map(names.unpart, keys)
            own = saved["state"].get(name, {})
            if key not in own and "$whole" not in own:
                _place(state.setdefault(name, {}), key, view(shard, inside), box, sizes.get(path))

    def named_model(self) -> dict[str, Any]:
        model = {name: forms.join({**self._forms[name], "inner": ""}, lambda _, value=value: value)
                 if name in self._forms else value for name, value in self._model.items()}
        return {**model, **{name: model[of] for name, of in self._aliases.items()
                            if of in model and name not in model}}


def _first_of(saved: dict[str, Any], give: Giver) -> dict[str, Any]:
    if "opaque" in saved:
        return {"kind": saved["kind"], "opaque": plain.join(saved["opaque"], give)}
    return {"kind": saved["kind"], "state": {}, "others": plain.join(saved["others"], give),
            "groups": [plain.join(group["values"], give) for group in saved["groups"]]}


def _place(into: dict[str, Any], name: str, piece: torch.Tensor, box: Box,
           size: tuple[int, ...] | None) -> None:
    """Puts a part where it belongs in the whole."""
    if size is None:
        if name not in into:
            into[name] = piece.clone()
        return
    if name not in into:
        into[name] = torch.empty(size, dtype=piece.dtype)
    into[name][Box(box.offsets, box.sizes).within(Box((0,) * len(size), size))] = piece
