# SPDX-License-Identifier: Apache-2.0
"""Tensors that are not plain memory of a type that safetensors has, as tensors that are.

complex128 is two float64, a type of fewer than eight bits is its bytes, a quantized tensor is its
codes and its parameters, and a subclass that wraps tensors is those that __tensor_flatten__ names.
The form says how to put them together again; it is plain data.
"""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch.nn.parameter import UninitializedTensorMixin
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from . import names, plain
from .errors import StateError
from .tensors import DIMENSIONS_MAX, TYPE_NAMES, is_sharded

_PLAIN = (torch.Tensor, torch.nn.Parameter)
_REAL = {torch.complex128: torch.float64, torch.complex32: torch.float16}
_AFFINE = (torch.per_tensor_affine, torch.per_tensor_symmetric)
_CHANNEL = (torch.per_channel_affine, torch.per_channel_symmetric)
_RAW = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def refusal(tensor: torch.Tensor) -> str | None:
    """Why a tensor can be saved in no form; None when it can. Looks at no element of it."""
    if isinstance(tensor, UninitializedTensorMixin):
        return "it has no shape yet: run the model once first"
    if tensor.device.type == "meta":
        return "it is on the meta device, and has no values"
    if tensor.is_nested and not is_traceable_wrapper_subclass(tensor):
        return "nested tensors are not saved: save their parts"
    if is_traceable_wrapper_subclass(tensor):
        return None
    kind = type(tensor)
    if hasattr(kind, "__tensor_flatten__"):
        return f"{kind.__qualname__} has __tensor_flatten__ and no __tensor_unflatten__"
    if tensor.layout != torch.strided:
        return f"it is {tensor.layout}, and only dense tensors are saved"
    if tensor.is_quantized and tensor.qscheme() not in _AFFINE + _CHANNEL:
        return f"{tensor.qscheme()} is no way of quantizing that is saved"
    return None


def is_unshaped(value: Any) -> bool:
    """Whether it is a parameter of a lazy module that has not run yet."""
    return isinstance(value, UninitializedTensorMixin)


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether it is saved as it is."""
    return (tensor.dtype in TYPE_NAMES and not tensor.is_quantized
            and tensor.layout == torch.strided and tensor.dim() <= DIMENSIONS_MAX
            and not is_traceable_wrapper_subclass(tensor))


def is_subclass(tensor: torch.Tensor) -> bool:
    """Whether it wraps other tensors, so that its own memory is nothing."""
    return bool(is_traceable_wrapper_subclass(tensor))


def is_composed(tensor: torch.Tensor) -> bool:
    """Whether it is made of several tensors."""
    return tensor.is_quantized or is_traceable_wrapper_subclass(tensor)


def as_plain(tensor: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]] | None:
    """The same memory as a type of safetensors, and its form; None for what is more than that."""
    if tensor.dtype in _REAL:
        view = tensor.resolve_conj() if tensor.is_conj() else tensor
        return torch.view_as_real(view), {"kind": "complex", "dtype": _name(tensor.dtype)}
    if tensor.dtype not in TYPE_NAMES:
        flat = tensor.contiguous().view(-1) if tensor.dim() == 0 else tensor.contiguous()
        return flat.view(_RAW[tensor.element_size()]), {
            "kind": "raw", "dtype": _name(tensor.dtype), "scalar": tensor.dim() == 0}
    if tensor.dim() > DIMENSIONS_MAX:
        return tensor.contiguous().view(-1), {"kind": "shape", "shape": list(tensor.shape)}
    return None


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def split(value: torch.Tensor, path: str, take: plain.Take) -> dict[str, Any] | None:
    """Hands what the tensor is made of to take(); its form, or None when it is taken as it is."""
    why = refusal(value)
    if why is None and is_sharded(value):
        why = ("it is sharded over ranks, which only a model's and an optimizer's tensors may be: "
               "attach what it is of as a part of the model")
    if why is None and type(value) not in _PLAIN and not is_traceable_wrapper_subclass(value):
        why = ("a subclass without __tensor_flatten__ and __tensor_unflatten__ would not come back "
               "as what it is")
    if why is not None:
        raise plain._refuse(path, value, why)
    if type(value) is torch.nn.Parameter:
        inside = plain.split(value.detach(), path, take)
        return {"kind": "parameter", "inner": inside, "grad": value.requires_grad}
    return _split(value.detach(), path, take)


def _split(value: torch.Tensor, path: str, take: plain.Take) -> dict[str, Any] | None:
    if is_traceable_wrapper_subclass(value):
        attributes, context = value.__tensor_flatten__()
        return {"kind": "subclass", "class": plain.reference(path, value, type(value)),
                "context": plain.split(context, f"{path}/%context", take),
                "size": list(value.shape), "stride": list(value.stride()),
                "inner": {name: plain.split(getattr(value, name), names.child(path, name), take)
                          for name in attributes}}
    if value.is_quantized:
        return _split_quantized(value, path, take)
    found = as_plain(value)
    taken = value if found is None else found[0]
    if not take(path, taken):
        raise plain._refuse(path, value, "a tensor cannot be saved here")
    return None if found is None else {**found[1], "inner": path}


def _split_quantized(value: torch.Tensor, path: str, take: plain.Take) -> dict[str, Any]:
    form: dict[str, Any] = {"kind": "quantized", "dtype": _name(value.dtype),
                            "inner": plain.split(value.int_repr(), f"{path}/codes", take)}
    if value.qscheme() in _AFFINE:
        return {**form, "scale": value.q_scale(), "zero": value.q_zero_point()}
    return {**form, "axis": value.q_per_channel_axis(),
            "scales": plain.split(value.q_per_channel_scales(), f"{path}/scales", take),
            "zeros": plain.split(value.q_per_channel_zero_points(), f"{path}/zeros", take)}


def join(form: dict[str, Any], give: Callable[[str], Any]) -> torch.Tensor:
    """The inverse of split(). A new tensor, unless its parts can serve."""
    return _JOIN[form["kind"]](form, give)


def dtype_of(name: str) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise StateError("CKPT_ERR_DTYPE", f"the checkpoint has {name}, which this PyTorch has not")
    return found


def _join_raw(form: dict[str, Any], give: Callable[[str], Any]) -> torch.Tensor:
    made = give(form["inner"]).view(dtype_of(form["dtype"]))
    return made.view(()) if form["scalar"] else made


def _join_parameter(form: dict[str, Any], give: Callable[[str], Any]) -> torch.Tensor:
    return torch.nn.Parameter(plain.join(form["inner"], give), requires_grad=form["grad"])


def _join_quantized(form: dict[str, Any], give: Callable[[str], Any]) -> torch.Tensor:
    codes = plain.join(form["inner"], give)
    made = (torch._make_per_tensor_quantized_tensor(codes, form["scale"], form["zero"])
            if "scale" in form else torch._make_per_channel_quantized_tensor(
                codes, plain.join(form["scales"], give), plain.join(form["zeros"], give),
                form["axis"]))
    if made.dtype != dtype_of(form["dtype"]):
        raise StateError("CKPT_ERR_DTYPE", f"{form['dtype']} cannot be made of its codes here")
    return made


def _join_subclass(form: dict[str, Any], give: Callable[[str], Any]) -> torch.Tensor:
    kind = plain.resolve(form["class"])
    if not issubclass(kind, torch.Tensor) or not hasattr(kind, "__tensor_unflatten__"):
        raise StateError("CKPT_ERR_CORRUPT", f"{form['class']} wraps no tensors now")
    inner = {name: plain.join(part, give) for name, part in form["inner"].items()}
    return kind.__tensor_unflatten__(inner, plain.join(form["context"], give),
                                     torch.Size(form["size"]), tuple(form["stride"]))


_JOIN: dict[str, Callable[[dict[str, Any], Callable[[str], Any]], torch.Tensor]] = {
    "complex": lambda form, give: torch.view_as_complex(give(form["inner"])),
    "raw": _join_raw,
    "shape": lambda form, give: give(form["inner"]).view(form["shape"]),
    "parameter": _join_parameter,
    "quantized": _join_quantized,
    "subclass": _join_subclass,
}
