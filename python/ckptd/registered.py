# SPDX-License-Identifier: Apache-2.0
"""A model and its optimizers: what of them is registered once, and what changes with each save."""

from __future__ import annotations

from typing import Any

import torch

from . import forms as tensor_forms, names, plain
from .entries import Entry
from .errors import StateError
from .model_state import ModelState
from .optimizer_state import OptimizerState, spaces

__all__ = ["Entry", "Registered"]


class Registered:
    """Everything of a model and its optimizers that PyTorch calls their state."""

    def __init__(self, model: torch.nn.Module, optimizers: list[Any]) -> None:
        self.given = model  # with its wrappers
        self.model = ModelState(model)
        self.optimizers = [OptimizerState(optimizer, space) for space, optimizer in
                           spaces(optimizers)]
        self.entries: list[Entry] = []
        self._parameters: dict[int, str] = {}
        self._forms: dict[str, dict] = {}
        self._is_known = False

    def has_changed(self) -> bool:
        """Whether something came, went, moved or became something else since register()."""
        return not (self._is_known and self.model.is_same()
                    and all([optimizer.is_same() for optimizer in self.optimizers]))

    def register(self, lazy: bool = False) -> None:
        """Takes stock anew. StateError names what is not saved."""
        self._is_known = False
        self.model.describe(lazy)
        self._parameters = self.model.parameter_names()
        self.entries = list(self.model.now.entries)
        self._forms = {self._own_name(entry): entry.form for entry in self.entries
                       if entry.form is not None}
        for optimizer in self.optimizers:
            optimizer.describe(self.name_of)
            self.entries += optimizer.now.entries
        self._is_known = not lazy

    def name_of(self, parameter: torch.Tensor) -> str:
        """A parameter's name; StateError for one that is not the model's."""
        name = self._parameters.get(id(parameter))
        if name is None:
            raise StateError("CKPT_ERR_INVALID", "an optimizer has a parameter of shape "
                             f"{tuple(parameter.shape)} that is not the attached model's")
        return name

    def plain(self, take: plain.Take) -> dict[str, Any]:
        """Everything but `entries`, as JSON; tensors among it are handed to take()."""
        now = self.model.now
        values = {name: plain.split(value, _path_of_value(name, value), take)
                  for name, value in self.model.loose().items()}
        self.model.forget()
        return {"model": {"aliases": now.aliases, "forms": self._forms, "values": values},
                "optimizers": [optimizer.plain(take) for optimizer in self.optimizers]}

    @staticmethod
    def _own_name(entry: Entry) -> str:
        name = names.model_name(entry.name)
        assert name is not None
        return name


def _path_of_value(name: str, value: Any) -> str:
    """Where what a module gives besides its parameters and buffers lies: a lone tensor under its
    own name, and what is made of several in a space of its own."""
    if isinstance(value, torch.Tensor) and not tensor_forms.is_composed(value):
        return names.of_model(name)
    return names.child("ckptd/value", name)
