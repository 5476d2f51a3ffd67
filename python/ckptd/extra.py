# SPDX-License-Identifier: Apache-2.0
"""What else is needed to go on: the caller's own state, and random numbers."""

from __future__ import annotations

import contextlib
import random
import sys
from typing import Any, Iterator

import torch

from . import plain
from .errors import StateError


def _is_stateful(value: Any) -> bool:
    return hasattr(value, "state_dict") and not isinstance(value, type)


def states(extra: Any, path: str = "extra", dry: bool = False) -> Any:
    """Objects with a state_dict() are their state. dry: those that are not to be asked before
    training are left out. StateError for one that could not be restored."""
    if _is_stateful(extra):
        if not hasattr(extra, "load_state_dict"):
            raise StateError("CKPT_ERR_INVALID", f"{path} is a {type(extra).__qualname__}, which "
                             "has state_dict() and no load_state_dict() to restore it by")
        return None if dry and _has_effects(extra) else extra.state_dict()
    if isinstance(extra, torch.Generator):
        return extra.get_state()
    if type(extra) is dict:
        return {key: states(value, f"{path}/{key}", dry) for key, value in extra.items()}
    if type(extra) in (list, tuple) and any(_has_objects(part) for part in extra):
        return type(extra)(states(part, f"{path}/{i}", dry) for i, part in enumerate(extra))
    return extra


def _has_objects(value: Any) -> bool:
    if type(value) is dict:
        return any(map(_has_objects, value.values()))
    if type(value) in (list, tuple):
        return any(map(_has_objects, value))
    return _is_stateful(value) or isinstance(value, torch.Generator)


def _has_effects(value: Any) -> bool:
    """A loader makes its workers and draws its seed when it is first asked for its state."""
    return isinstance(value, torch.utils.data.DataLoader)


def missing(extra: Any, saved: Any, path: str = "extra") -> list[str]:
    """What is attached and was not saved, by path."""
    if _is_stateful(extra) or isinstance(extra, torch.Generator):
        return []
    if type(extra) is dict:
        if not isinstance(saved, dict):
            return [path] if extra else []
        return [found for key, value in extra.items() for found in (
            missing(value, saved[key], f"{path}/{key}") if key in saved else [f"{path}/{key}"])]
    if type(extra) in (list, tuple) and any(map(_has_objects, extra)):
        if type(saved) is not type(extra) or len(saved) != len(extra):
            return [path]
        return [found for i, pair in enumerate(zip(extra, saved))
                for found in missing(*pair, f"{path}/{i}")]
    return []


def put(extra: Any, saved: Any) -> Any:
    """The inverse of states(), in place: dictionaries and objects keep their identity, and what is
    new comes in. The value that now stands for `extra`."""
    if _is_stateful(extra):
        extra.load_state_dict(saved)
    elif isinstance(extra, torch.Generator):
        extra.set_state(saved)
    elif type(extra) is dict and isinstance(saved, dict):
        for key, value in saved.items():
            extra[key] = put(extra[key], value) if key in extra else value
    elif type(extra) in (list, tuple) and any(map(_has_objects, extra)):
        parts = [put(*pair) for pair in zip(extra, saved)]
        if type(extra) is tuple:
            return tuple(parts)
        extra[:] = parts
    elif isinstance(extra, torch.Tensor) and isinstance(saved, torch.Tensor) and (
            extra.shape == saved.shape and extra.dtype == saved.dtype):
        with torch.no_grad():
            extra.copy_(saved)
    else:
        return saved
    return extra


# ---- random numbers ----

def random_state() -> dict[str, Any]:
    """The generators of this process: Python's, NumPy's, and PyTorch's of the CPU and of CUDA."""
    state: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
    numpy = sys.modules.get("numpy")
    if numpy is not None and "numpy.random" in sys.modules:
        state["numpy"] = numpy.random.get_state()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def put_random_state(state: dict[str, Any]) -> None:
    """The inverse. Devices that are not there now are passed over."""
    random.setstate(state["python"])
    torch.set_rng_state(state["torch"])
    if "numpy" in state:
        import numpy

        numpy.random.set_state(state["numpy"])
    if "cuda" in state and torch.cuda.is_available():
        for device, one in enumerate(state["cuda"][:torch.cuda.device_count()]):
            torch.cuda.set_rng_state(one, device)


@contextlib.contextmanager
def random_state_kept() -> Iterator[None]:
    """Whatever draws random numbers inside leaves them as they were."""
    state = random_state()
    try:
        yield
    finally:
        put_random_state(state)


def dry_run(registered: Any, extra: Any) -> None:
    """Finds what cannot be saved, by name, before training: StateError. Takes no step, draws no
    number, copies no tensor. A state_dict() that fails now may work later: the save will tell."""
    def take(path: str, value: Any) -> bool:
        return True

    with random_state_kept():
        registered.register(lazy=True)
        registered.plain(take)
        try:
            found = states(extra, dry=True)
        except StateError:
            raise
        except Exception:
            return
        plain.split(found, "extra", take)
