# SPDX-License-Identifier: Apache-2.0
"""State that is no tensor, as JSON. Never pickle: what is read back can be data and nothing else.

Beyond JSON's own: tuples, bytes, dictionaries whose keys are no strings, and numbers that are not
finite. A tensor in the tree is taken out and named by its place; see split() and join().
"""

from __future__ import annotations

import base64
import json
from typing import Any, Callable

from .errors import StateError

_TAG = "$ckptd"


def split(value: Any, path: str, take: Callable[[str, Any], bool]) -> Any:
    """What json.dumps() takes, of any supported value.

    take(path, leaf) is asked about each value that is none of JSON's; when it says True the leaf is
    saved elsewhere under that path, and only its place stays here. StateError for anything else.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return {_TAG: "bytes", "value": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, tuple):
        return {_TAG: "tuple",
                "value": [split(part, f"{path}/{i}", take) for i, part in enumerate(value)]}
    if isinstance(value, list):
        return [split(part, f"{path}/{i}", take) for i, part in enumerate(value)]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and _TAG not in value:
            return {key: split(part, f"{path}/{key}", take) for key, part in value.items()}
        return {_TAG: "dict", "value": [
            [split(key, f"{path}/key", take), split(part, f"{path}/{key}", take)]
            for key, part in value.items()]}
    if take(path, value):
        return {_TAG: "tensor", "value": path}
    raise StateError("CKPT_ERR_INVALID",
                     f"{path} is a {type(value).__module__}.{type(value).__qualname__}: only "
                     "tensors, numbers, text, bytes and lists, tuples and dictionaries of them "
                     "are saved, as nothing is pickled; save its state_dict() instead")


def join(value: Any, give: Callable[[str], Any]) -> Any:
    """The inverse of split(); give(path) has the leaf that was saved under the path."""
    if isinstance(value, list):
        return [join(part, give) for part in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_TAG)
    if kind is None:
        return {key: join(part, give) for key, part in value.items()}
    inside = value["value"]
    if kind == "bytes":
        return base64.b64decode(inside)
    if kind == "tuple":
        return tuple(join(part, give) for part in inside)
    if kind == "dict":
        return {join(key, give): join(part, give) for key, part in inside}
    if kind == "tensor":
        return give(inside)
    raise StateError("CKPT_ERR_CORRUPT", f"the saved state has a value of unknown kind {kind!r}")


def dumps(value: Any) -> bytes:
    """One line of JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def loads(data: bytes) -> Any:
    """The inverse of dumps()."""
    return json.loads(data)
