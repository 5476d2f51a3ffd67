# SPDX-License-Identifier: Apache-2.0
"""State that is no tensor, as JSON. Never pickle: what is read back can be data and nothing else.

Everything comes back as what it was: beyond JSON's own kinds there are tuples, sets, bytes, numbers
that are not finite, dictionaries with any keys, the containers of `collections`, NumPy's arrays and
scalars, dates, paths, and classes derived from Python's own containers and numbers, named tuples,
enums and dataclasses among them. Such a class is saved as its name. On the way back it is looked up
among the modules that this process has imported already: nothing is imported, and no constructor
or method of the class runs. A tensor is taken out of the tree and named by its place; see split().
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import enum
import io
import json
import pathlib
import sys
from typing import Any, Callable

from . import names
from .errors import StateError

_TAG = "$ckptd"
_SCALARS = (str, int, float, bool, type(None))
_DATES = (datetime.datetime, datetime.date, datetime.time)
_BASES = (collections.OrderedDict, collections.defaultdict, collections.deque, dict, list, tuple,
          set, frozenset, str, bytes, bytearray, int, float, complex)
_FACTORIES = {kind.__name__: kind for kind in
              (list, dict, set, tuple, int, float, str, bool, collections.OrderedDict,
               collections.Counter, collections.deque)}
_PATHS = {kind.__name__: kind for kind in (pathlib.PurePosixPath, pathlib.PosixPath,
                                           pathlib.PureWindowsPath)}
Take = Callable[[str, Any], bool]


def _refuse(path: str, value: Any, why: str) -> StateError:
    kind = type(value)
    return StateError("CKPT_ERR_INVALID", f"{path} is a {kind.__module__}.{kind.__qualname__}: "
                                          f"{why}")


def reference(path: str, value: Any, kind: type) -> str:
    """A class as "module:qualified.name"; StateError when that would not lead back to it."""
    name = f"{kind.__module__}:{kind.__qualname__}"
    if _find(name) is not kind:
        raise _refuse(path, value, f"the class cannot be found again as {name}: define it at the "
                                   "top of a module")
    return name


def _find(name: str) -> Any:
    module, _, inside = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in inside.split("."):
        found = getattr(found, part, None)
    return found


def resolve(name: str) -> type:
    """The class of a reference(). StateError when no imported module has it."""
    found = _find(name)
    if not isinstance(found, type):
        raise StateError("CKPT_ERR_NOT_FOUND", f"the checkpoint has a value of the class {name}, "
                         "which is not there: import its module first")
    return found


def split(value: Any, path: str, take: Take) -> Any:
    """What json.dumps() takes, of any supported value.

    take(path, leaf) is asked about each tensor; when it says True the leaf is saved elsewhere under
    that path, and only its place stays here. StateError, with the path, for anything else.
    """
    try:
        return _split(value, path, take)
    except RecursionError:
        raise StateError("CKPT_ERR_INVALID", f"{path} contains itself, or is nested too deeply"
                         ) from None


def _split(value: Any, path: str, take: Take) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is list:
        return [_split(part, f"{path}/{i}", take) for i, part in enumerate(value)]
    if kind is dict:
        return _split_dict(value, path, take)
    if kind is tuple:
        return {_TAG: "tuple",
                "value": [_split(part, f"{path}/{i}", take) for i, part in enumerate(value)]}
    if kind is bytes:
        return {_TAG: "bytes", "value": base64.b64encode(value).decode()}
    special = _split_special(value, kind, path, take)
    if special is not None:
        return special
    if isinstance(value, enum.Flag):
        return {_TAG: "flag", "class": reference(path, value, kind), "value": value.value}
    if isinstance(value, enum.Enum):
        return {_TAG: "enum", "class": reference(path, value, kind), "value": value.name}
    if isinstance(value, _BASES):
        return _split_derived(value, kind, path, take)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _split_dataclass(value, kind, path, take)
    raise _refuse(path, value, "only tensors, arrays, numbers, text, dates and containers of them "
                               "are saved, as nothing is pickled; save its state_dict() instead")


def _split_dict(value: Any, path: str, take: Take) -> Any:
    if _TAG not in value and all(type(key) is str for key in value):
        return {key: _split(part, names.child(path, key), take) for key, part in value.items()}
    return {_TAG: "dict", "value": [
        [_split(key, names.child(path, f"key {i}"), lambda *_: False),
         _split(part, names.child(path, key, i), take)]
        for i, (key, part) in enumerate(value.items())]}


def _split_special(value: Any, kind: type, path: str, take: Take) -> Any:
    """What a few well known classes are; None for others."""
    if kind is complex:
        return {_TAG: "complex", "value": [value.real, value.imag]}
    if kind is range:
        return {_TAG: "range", "value": [value.start, value.stop, value.step]}
    if kind is slice:
        return {_TAG: "slice", "value": [_split(part, path, take) for part in
                                         (value.start, value.stop, value.step)]}
    if kind in _DATES:
        zone = getattr(value, "tzinfo", None)
        if zone is not None and type(zone) is not datetime.timezone:
            raise _refuse(path, value, "a time with a time zone that is no fixed offset is not "
                                       "saved: save it in UTC")
        return {_TAG: kind.__name__, "value": value.isoformat(), "fold": getattr(value, "fold", 0)}
    if kind is datetime.timedelta:
        return {_TAG: "timedelta", "value": [value.days, value.seconds, value.microseconds]}
    if _PATHS.get(kind.__name__) is kind:
        return {_TAG: "path", "class": kind.__name__, "value": str(value)}
    if kind is io.BytesIO:
        return {_TAG: "BytesIO", "value": base64.b64encode(value.getvalue()).decode(),
                "at": value.tell()}
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return _split_numpy(value, kind, path, take, numpy)
    torch = sys.modules.get("torch")
    if torch is not None:
        return _split_torch(value, kind, path, take, torch)
    return None


def _split_numpy(value: Any, kind: type, path: str, take: Take, numpy: Any) -> Any:
    if value.dtype.hasobject or value.dtype.names or kind not in (
            numpy.ndarray, value.dtype.type):
        raise _refuse(path, value, f"arrays of {value.dtype} are not saved: save its fields")
    data = numpy.ascontiguousarray(value)
    saved = {_TAG: "numpy", "dtype": value.dtype.str, "shape": list(value.shape),
             "scalar": kind is not numpy.ndarray,
             "fortran": bool(value.ndim > 1 and value.flags.f_contiguous
                             and not value.flags.c_contiguous)}
    if data.nbytes > 1024 and "torch" in sys.modules:
        tensor = sys.modules["torch"].frombuffer(bytearray(data.tobytes()),
                                                 dtype=sys.modules["torch"].uint8)
        if take(path, tensor):
            return {**saved, "tensor": path}
    return {**saved, "value": base64.b64encode(data.tobytes()).decode()}


def _split_torch(value: Any, kind: type, path: str, take: Take, torch: Any) -> Any:
    if kind is torch.Size:
        return {_TAG: "Size", "value": list(value)}
    if kind in (torch.dtype, torch.memory_format, torch.layout):
        return {_TAG: "torch", "class": kind.__name__, "value": str(value).rpartition(".")[2]}
    if kind is torch.device:
        return {_TAG: "device", "value": str(value)}
    if not isinstance(value, torch.Tensor):
        return None
    from . import forms  # which needs PyTorch

    form = forms.split(value, path, take)
    return {_TAG: "tensor", "value": path} if form is None else {_TAG: "form", **form}


def _split_derived(value: Any, kind: type, path: str, take: Take) -> Any:
    """A class derived from one of Python's, or one of `collections`."""
    base = next(one for one in _BASES if isinstance(value, one))
    saved: dict[str, Any] = {_TAG: "derived", "base": base.__name__}
    if kind is not base:
        saved["class"] = reference(path, value, kind)
    attributes = getattr(value, "__dict__", None)
    if attributes:
        saved["attributes"] = _split_dict(dict(attributes), f"{path}/%a", take)
    if base is collections.defaultdict:
        factory = value.default_factory
        if factory is not None and _FACTORIES.get(getattr(factory, "__name__", "")) is not factory:
            raise _refuse(path, value, f"its default_factory {factory!r} cannot be saved: one of "
                                       f"{', '.join(_FACTORIES)} can")
        saved["factory"] = None if factory is None else factory.__name__
    if base is collections.deque:
        saved["most"] = value.maxlen
    if issubclass(base, dict):
        saved["value"] = _split_dict(dict(value.items()), path, take)
    elif base in (set, frozenset):
        parts = [_split(part, f"{path}/{i}", lambda *_: False) for i, part in enumerate(value)]
        saved["value"] = sorted(parts, key=lambda part: json.dumps(part, sort_keys=True))
    elif base in (list, tuple, collections.deque):
        saved["value"] = [_split(part, f"{path}/{i}", take) for i, part in enumerate(value)]
    else:
        saved["value"] = _split(base(value), path, take) if base is not bytearray else (
            base64.b64encode(value).decode())
    return saved


def _split_dataclass(value: Any, kind: type, path: str, take: Take) -> Any:
    fields = [field.name for field in dataclasses.fields(value)]
    more = set(getattr(value, "__dict__", {})) - set(fields)
    if more:
        raise _refuse(path, value, f"it has {sorted(more)[0]} besides its fields")
    return {_TAG: "dataclass", "class": reference(path, value, kind),
            "value": {name: _split(getattr(value, name), names.child(path, name), take)
                      for name in fields if hasattr(value, name)}}


def join(value: Any, give: Callable[[str], Any]) -> Any:
    """The inverse of split(); give(path) has the leaf that was saved under the path.

    A malformed tree is a StateError.
    """
    try:
        return _join(value, give)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise StateError("CKPT_ERR_CORRUPT", "the saved state is malformed: "
                                             f"{type(error).__name__}: {error}") from error


def _join(value: Any, give: Callable[[str], Any]) -> Any:
    if isinstance(value, list):
        return [_join(part, give) for part in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_TAG)
    if kind is None:
        return {key: _join(part, give) for key, part in value.items()}
    maker = _JOIN.get(kind) if isinstance(kind, str) else None
    if maker is None:
        raise StateError("CKPT_ERR_CORRUPT", f"the saved state has a value of unknown kind "
                                              f"{kind!r}")
    return maker(value, give)


def _join_dict(saved: Any, give: Callable[[str], Any]) -> Any:
    return {_join(key, give): _join(part, give) for key, part in saved["value"]}


def _join_numpy(saved: Any, give: Callable[[str], Any]) -> Any:
    import numpy

    data = bytes(give(saved["tensor"]).numpy()) if "tensor" in saved else (
        base64.b64decode(saved["value"]))
    dtype = numpy.dtype(saved["dtype"])
    array = numpy.frombuffer(data, dtype=dtype).reshape(saved["shape"])
    if saved["scalar"]:
        return array[()]
    return array.copy(order="F" if saved["fortran"] else "C")


def _join_torch(saved: Any, give: Callable[[str], Any]) -> Any:
    import torch

    found = getattr(torch, saved["value"], None)
    if type(found).__name__ != saved["class"] or type(found).__module__ != "torch":
        raise StateError("CKPT_ERR_DTYPE", f"this PyTorch has no {saved['class']} "
                                           f"{saved['value']!r}")
    return found


def _join_size(saved: Any, give: Callable[[str], Any]) -> Any:
    import torch

    return torch.Size(saved["value"])


def _join_device(saved: Any, give: Callable[[str], Any]) -> Any:
    import torch

    return torch.device(saved["value"])


def _join_form(saved: Any, give: Callable[[str], Any]) -> Any:
    from . import forms

    return forms.join(saved, give)


def _join_enum(saved: Any, give: Callable[[str], Any]) -> Any:
    kind = resolve(saved["class"])
    if not issubclass(kind, enum.Enum) or saved["value"] not in kind.__members__:
        raise StateError("CKPT_ERR_NOT_FOUND", f"{saved['class']} has no {saved['value']} now")
    return kind.__members__[saved["value"]]


def _join_flag(saved: Any, give: Callable[[str], Any]) -> Any:
    kind = resolve(saved["class"])
    if not issubclass(kind, enum.Flag):
        raise StateError("CKPT_ERR_NOT_FOUND", f"{saved['class']} is no Flag now")
    return kind(saved["value"])


def _join_path(saved: Any, give: Callable[[str], Any]) -> Any:
    return _PATHS[saved["class"]](saved["value"])


def _join_bytesio(saved: Any, give: Callable[[str], Any]) -> Any:
    made = io.BytesIO(base64.b64decode(saved["value"]))
    made.seek(saved["at"])
    return made


def _join_derived(saved: Any, give: Callable[[str], Any]) -> Any:
    base = next(one for one in _BASES if one.__name__ == saved["base"])
    kind = resolve(saved["class"]) if "class" in saved else base
    if not issubclass(kind, base) or issubclass(kind, enum.Enum):
        raise StateError("CKPT_ERR_CORRUPT", f"{saved['class']} is no {base.__name__} now")
    inside = saved["value"]
    if base is bytearray:
        made = base.__new__(kind)
        bytearray.extend(made, base64.b64decode(inside))
    elif issubclass(base, dict):
        made = base.__new__(kind)
        if base is collections.defaultdict:
            made.default_factory = saved["factory"] and _FACTORIES[saved["factory"]]
        setter = base.__setitem__
        for key, part in _join(inside, give).items():
            setter(made, key, part)
    elif base in (list, collections.deque):
        made = base.__new__(kind)
        if base is collections.deque:
            base.__init__(made, (), saved["most"])
        base.extend(made, _join(inside, give))
    elif base is set:
        made = base.__new__(kind)
        set.update(made, _join(inside, give))
    else:
        made = base.__new__(kind, _join(inside, give))
    for name, part in _join(saved.get("attributes", {}), give).items():
        made.__dict__[name] = part
    return made


def _join_dataclass(saved: Any, give: Callable[[str], Any]) -> Any:
    kind = resolve(saved["class"])
    if not dataclasses.is_dataclass(kind):
        raise StateError("CKPT_ERR_CORRUPT", f"{saved['class']} is no dataclass now")
    known = {field.name for field in dataclasses.fields(kind)}
    made = object.__new__(kind)
    for name, part in saved["value"].items():
        if name not in known:
            raise StateError("CKPT_ERR_INVALID", f"{saved['class']} has no field {name} now")
        object.__setattr__(made, name, _join(part, give))
    return made


def _join_date(saved: Any, give: Callable[[str], Any]) -> Any:
    made = getattr(datetime, saved[_TAG]).fromisoformat(saved["value"])
    return made.replace(fold=saved["fold"]) if saved["fold"] else made


_JOIN: dict[str, Callable[[Any, Callable[[str], Any]], Any]] = {
    "bytes": lambda saved, give: base64.b64decode(saved["value"]),
    "tuple": lambda saved, give: tuple(_join(part, give) for part in saved["value"]),
    "dict": _join_dict,
    "tensor": lambda saved, give: give(saved["value"]),
    "form": _join_form,
    "complex": lambda saved, give: complex(*saved["value"]),
    "range": lambda saved, give: range(*saved["value"]),
    "slice": lambda saved, give: slice(*(_join(part, give) for part in saved["value"])),
    "datetime": _join_date, "date": _join_date, "time": _join_date,
    "timedelta": lambda saved, give: datetime.timedelta(*saved["value"]),
    "path": _join_path,
    "BytesIO": _join_bytesio,
    "numpy": _join_numpy,
    "torch": _join_torch,
    "Size": _join_size,
    "device": _join_device,
    "enum": _join_enum,
    "flag": _join_flag,
    "derived": _join_derived,
    "dataclass": _join_dataclass,
}


def dumps(value: Any) -> bytes:
    """One line of JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def loads(data: bytes) -> Any:
    """The inverse of dumps(). StateError for what is no JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StateError("CKPT_ERR_CORRUPT", f"the saved state is no JSON: {error}") from error
