# SPDX-License-Identifier: Apache-2.0
"""Hugging Face: a TrainerCallback that saves to the agents' memory every few steps.

    callback = ckptd.huggingface.Callback("run", every=50, attempt=...)
    trainer = Trainer(..., callbacks=[callback])
    trainer.train(resume_from_checkpoint=callback.restore("/dev/shm/resume"))

On top of the Trainer's own checkpoints, which may then be rare. restore() writes the newest
consistent step as a checkpoint folder, so that the Trainer resumes in its own way: model,
optimizer, schedule, random numbers, its place in the data.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import random
from typing import Any

import numpy
import torch
from safetensors.torch import save_file
from transformers import TrainerCallback

from .checkpointer import settings_of_job
from .context import Context
from .errors import Error, NoCheckpoint
from .states import load_state, save_state

_log = logging.getLogger("ckptd")


def _random_state() -> dict[str, Any]:
    name, keys, *rest = numpy.random.get_state()
    state = {"python": random.getstate(), "numpy": (name, keys.tolist(), *rest),
             "cpu": torch.random.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.random.get_rng_state()
    return state


class Callback(TrainerCallback):
    """Saves every `every` steps. A save that fails is a line in the log; training goes on."""

    def __init__(self, run: str | None = None, *, every: int = 50, attempt: int | None = None,
                 rank: int | None = None, world: int | None = None, timeout: float = 60.0,
                 **settings: Any) -> None:
        self.every, self.timeout = max(1, every), timeout
        self._settings = {**settings_of_job(run, attempt, rank, world), **settings}
        self._context: Context | None = None
        self._last: int | None = None

    def _open(self) -> Context:
        if self._context is None:
            self._context = Context(**self._settings)
        return self._context

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None,
                    optimizer: Any = None, lr_scheduler: Any = None, **kwargs: Any) -> None:
        if state.global_step % self.every != 0:
            return
        bare = model.module if hasattr(model, "module") else model
        whole = {
            "model": bare.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": lr_scheduler.state_dict(),
            "trainer": dataclasses.asdict(state),
            "random": _random_state(),
        }
        try:
            save_state(self._open(), state.global_step, whole)
            self._last = state.global_step
        except Error as error:
            _log.warning("step %d was not saved: %s", state.global_step, error)

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
            tensors = {key: value.contiguous() for key, value in state["model"].items()}
            save_file(tensors, os.path.join(target, "model.safetensors"), {"format": "pt"})
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
