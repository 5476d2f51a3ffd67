# SPDX-License-Identifier: Apache-2.0
"""Hugging Face: a TrainerCallback that saves to the agents' memory every few steps.

    callback = ckptd.huggingface.Callback("run", every=50, attempt=...)
    trainer = Trainer(..., callbacks=[callback])
    trainer.train(resume_from_checkpoint=callback.restore("/dev/shm/resume"))

On top of the Trainer's own checkpoints, which may then be rare. restore() writes the newest
consistent step as a checkpoint folder, so that the Trainer resumes in its own way: model,
optimizer, schedule, random numbers, its place in the data, its log, evaluations and best metric,
and the state of its other callbacks (EarlyStoppingCallback).

A step is saved when the Trainer is done with it, as its own checkpoints are: after its log and its
evaluation, and as far as the last step of an epoch goes after the epoch's. No event of the Trainer
comes after those, so that this happens at the beginning of the next step.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import random
import sys
from typing import Any

import numpy
import torch
from safetensors.torch import save_file
from transformers import TrainerCallback
from transformers.trainer_callback import CallbackHandler, ExportableState

from .checkpointer import settings_of_job
from .context import Context
from .errors import Error, NoCheckpoint
from .forms import is_plain
from .model_state import bare
from .states import load_state, save_state

_log = logging.getLogger("ckptd")


def _random_state() -> dict[str, Any]:
    name, keys, *rest = numpy.random.get_state()
    state = {"python": random.getstate(), "numpy": (name, keys.tolist(), *rest),
             "cpu": torch.random.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.random.get_rng_state()
    return state


def _handler_of(callback: TrainerCallback) -> CallbackHandler | None:
    """Who calls this callback, and knows the others: the Trainer tells no callback of them."""
    frame = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, CallbackHandler) and callback in owner.callbacks:
            return owner
        frame = frame.f_back
    return None


def _states_of(callbacks: list[Any], control: dict[str, Any]) -> dict[str, Any]:
    """The states of those callbacks that have one, as the Trainer's own checkpoint has them."""
    found: dict[str, list[Any]] = {}
    for callback in callbacks:
        if isinstance(callback, ExportableState):
            found.setdefault(type(callback).__name__, []).append(callback.state())
    states = {name: all_of[0] if len(all_of) == 1 else all_of for name, all_of in found.items()}
    return {**states, "TrainerControl": control}


def _write_model(folder: str, model: dict[str, Any]) -> None:
    """In the one of the Trainer's two formats that has all of the model's types."""
    if all(isinstance(value, torch.Tensor) and is_plain(value) for value in model.values()):
        tensors = {key: value.contiguous() for key, value in model.items()}
        save_file(tensors, os.path.join(folder, "model.safetensors"), {"format": "pt"})
    else:
        torch.save(model, os.path.join(folder, "pytorch_model.bin"))


@dataclasses.dataclass
class _Pending:
    """A step that is to be saved, as it is after the last event of it."""

    step: int
    trainer: dict[str, Any]
    control: dict[str, Any]
    random: dict[str, Any]
    last: str | None = None  # the event after which there is no more of it: "" once it came
    model: dict[str, torch.Tensor] | None = None  # where the Trainer may change it before we save


class Callback(TrainerCallback):
    """Saves every `every` steps. A save that fails is a line in the log; training goes on."""

    def __init__(self, run: str | None = None, *, every: int = 50, attempt: int | None = None,
                 rank: int | None = None, world: int | None = None, timeout: float = 60.0,
                 **settings: Any) -> None:
        self.every, self.timeout = max(1, every), timeout
        self._settings = {**settings_of_job(run, attempt, rank, world), **settings}
        self._context: Context | None = None
        self._handler: CallbackHandler | None = None
        self._pending: _Pending | None = None
        self._last: int | None = None

    def _open(self) -> Context:
        if self._context is None:
            self._context = Context(**self._settings)
        return self._context

    # ---- what becomes of a step ----

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._pending = None
        self._handler = _handler_of(self)
        if self._handler is None:
            _log.warning("the Trainer's other callbacks are not found: what they count is saved as "
                         "it was at the Trainer's own last checkpoint")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % self.every == 0:
            self._note(state, control)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._note_more("log", args, state, control, **kwargs)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._note_more("evaluate", args, state, control, **kwargs)

    def _note_more(self, event: str, args: Any, state: Any, control: Any, model: Any = None,
                   **kwargs: Any) -> None:
        pending = self._pending
        if pending is None or pending.last == "":
            return  # what is said after the epoch's own is of the whole training
        self._note(state, control, pending.last)
        if pending.last == event:
            self._pending.last = ""
            if args.load_best_model_at_end:  # into this model, and before the next event
                self._pending.model = {name: value.detach().to("cpu", copy=True)
                                       for name, value in bare(model).state_dict().items()}

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if control.should_evaluate or control.should_log:
            if self._pending is not None:
                self._pending.last = "evaluate" if control.should_evaluate else "log"
        else:
            self._save(state, **kwargs)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._save(state, **kwargs)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._save(state, **kwargs)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._save(state, **kwargs)

    def _note(self, state: Any, control: Any, last: str | None = None) -> None:
        self._pending = _Pending(state.global_step, dataclasses.asdict(state), control.state(),
                                 _random_state(), last)

    def _save(self, state: Any, model: Any = None, optimizer: Any = None, lr_scheduler: Any = None,
              **kwargs: Any) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        # The Trainer notes the best metric after the last event of an evaluation.
        for name in ("best_metric", "best_global_step", "best_model_checkpoint"):
            pending.trainer[name] = getattr(state, name)
        if self._handler is not None:
            pending.trainer["stateful_callbacks"] = _states_of(self._handler.callbacks,
                                                               pending.control)
        whole = {
            "model": bare(model).state_dict() if pending.model is None else pending.model,
            "optimizer": optimizer.state_dict(),
            "scheduler": lr_scheduler.state_dict(),
            "trainer": pending.trainer,
            "random": pending.random,
        }
        try:
            save_state(self._open(), pending.step, whole)
            self._last = pending.step
        except Error as error:
            _log.warning("step %d was not saved: %s", pending.step, error)

    def wait(self, timeout: float | None = None) -> None:
        """Until the newest save is consistent. Timeout, or what it failed with."""
        if self._last is not None:
            self._open().wait(self._last, self.timeout if timeout is None else timeout)

    def restore(self, folder: str) -> str | None:
        """Writes the newest consistent step to folder/checkpoint-STEP; None when there is none.

        Every rank calls it with the same folder of its own node, and all get the same step. The
        files are made of data that was read as data, in the formats that the Trainer reads.
        """
        try:
            with self._open().load(timeout=self.timeout) as shard:
                step, state = shard.step, load_state(shard)
        except NoCheckpoint:
            return None
        target = os.path.join(folder, f"checkpoint-{step}")
        os.makedirs(target, exist_ok=True)
        rank, world = self._settings["rank"], self._settings["world"]
        numbers = state["random"]
        name, keys, *rest = numbers["numpy"]
        numbers["numpy"] = (name, numpy.array(keys, dtype=numpy.uint32), *rest)
        torch.save(numbers, os.path.join(target, "rng_state.pth" if world == 1 else
                                         f"rng_state_{rank}.pth"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local == 0:
            _write_model(target, state["model"])
            torch.save(state["optimizer"], os.path.join(target, "optimizer.pt"))
            torch.save(state["scheduler"], os.path.join(target, "scheduler.pt"))
            with open(os.path.join(target, "trainer_state.json"), "w", encoding="utf-8") as file:
                json.dump(state["trainer"], file)
        return target

    def close(self) -> None:
        """Leaves the run."""
        if self._context is not None:
            self._context.close()
            self._context = None
