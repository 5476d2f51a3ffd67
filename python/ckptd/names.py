# SPDX-License-Identifier: Apache-2.0
"""Names: what a tensor is called in a shard, so that no two things can have one name.

A shard is a safetensors file, whose keys are any UTF-8 text. A parameter or buffer has its own
name. What is not the model's has a path that begins with a space of its own:

    optim/PARAMETER/KEY, optim.1/...   the state of an optimizer
    extra/..., state/..., ckptd/...

A part of a path has its "/" and "%" escaped, so that a path is one sequence of keys only; keys that
are no text differ from those that are. A model's name that looks like such a path, and a key that
no safetensors file can have, go by another name that the shard's metadata leads back from.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

NAME_BYTES_MAX = 4095
_SPACE = re.compile(r"(?:optim(?:\.\d+)?|extra|state|rng|ckptd)/", re.DOTALL)
_OURS = "ckptd/name/"


def part(key: Any, place: int = 0) -> str:
    """A key of a dictionary as a part of a path: another part for every other key."""
    if type(key) is str:
        return key.replace("%", "%25").replace("/", "%2F") if "/" in key or "%" in key else key
    if type(key) is int:
        return f"%i{key}"
    return f"%k{place}"  # its place in the dictionary; the key itself is saved with the value


def child(path: str, key: Any, place: int = 0) -> str:
    """The path of what a dictionary at `path` has under a key."""
    return f"{path}/{part(key, place)}"


def of_model(name: str) -> str:
    """The path of a parameter or buffer: its own name, unless that is in another space."""
    return f"ckptd/model/{part(name)}" if _SPACE.match(name) else name


def model_name(path: str) -> str | None:
    """The inverse of of_model(); None for a path of another space."""
    if path.startswith("ckptd/model/"):
        return unpart(path[len("ckptd/model/"):])
    return None if _SPACE.match(path) else path


def unpart(text: str) -> str:
    """The inverse of part(), for keys that are text."""
    return text.replace("%2F", "/").replace("%25", "%") if "%" in text else text


def is_key(text: str) -> bool:
    """Whether a part of a path stands for a key that is no text, or for something of our own."""
    return text.startswith("%") and not text.startswith(("%25", "%2F"))


def shard_name(path: str) -> str:
    """The key in the safetensors file: the path itself wherever the format allows it."""
    if path.isascii() and len(path) <= NAME_BYTES_MAX and "\0" not in path:
        if path != "__metadata__" and not path.startswith(_OURS):
            return path
    else:
        try:
            data = path.encode()
            if len(data) <= NAME_BYTES_MAX and b"\0" not in data:
                return path
        except UnicodeEncodeError:  # a lone surrogate
            pass
    return _OURS + hashlib.sha256(path.encode(errors="surrogatepass")).hexdigest()
