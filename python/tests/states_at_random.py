# SPDX-License-Identifier: Apache-2.0
"""Random training states: modules, optimizers, wrappers, containers, and ways in which they change.

Everything is drawn from one random.Random, so that a case is its number.
"""

import collections
import dataclasses
import datetime
import enum
import pathlib
import string

import numpy
import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

Point = collections.namedtuple("Point", "x y")
NAMES = ["layer", "optim", "extra", "ckptd", "a/b", "optim/x", "a//b", "模型", "with space", "%2F",
         "<u>", "x:0", "state", "module", "_orig_mod0", "rng", "é" * 30, "n" * 200]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.int64,
          torch.uint8, torch.bool, torch.complex64, torch.complex128, torch.float8_e4m3fn,
          torch.float8_e5m2, torch.int16]


class Color(enum.IntEnum):
    RED = 1
    BLUE = 2


class Mode(enum.Flag):
    A = 1
    B = 2


@dataclasses.dataclass
class Record:
    number: int
    inside: object = None


class Notes(dict):
    """A dictionary with an attribute, as frameworks have them."""


class Scaled(torch.Tensor):
    """A tensor that wraps two, as 8-bit optimizers and FP8 training have them."""

    @staticmethod
    def __new__(cls, codes, scale):
        return torch.Tensor._make_wrapper_subclass(cls, codes.shape, dtype=torch.float32)

    def __init__(self, codes, scale):
        self.codes, self.scale = codes, scale

    def __tensor_flatten__(self):
        return ["codes", "scale"], {"version": 1}

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        assert context == {"version": 1}
        return Scaled(inner["codes"], inner["scale"])

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        name = function.__name__ if hasattr(function, "__name__") else str(function)
        if "detach" in name or "clone" in name or "_to_copy" in name:
            return Scaled(args[0].codes.clone(), args[0].scale.clone())
        plain = [one.codes.float() * one.scale if isinstance(one, Scaled) else one for one in args]
        return function(*plain, **(kwargs or {}))

    __hash__ = torch.Tensor.__hash__


class Extra(torch.nn.Linear):
    """get_extra_state(), as TransformerEngine has it."""

    def __init__(self):
        super().__init__(3, 2)
        self.seen = {"calls": 0, "amax": torch.zeros(4)}

    def get_extra_state(self):
        return self.seen

    def set_extra_state(self, state):
        self.seen = state


class Override(torch.nn.Module):
    """A parameter that is saved in another form than it has."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3))

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        destination[prefix + "halved"] = self.weight.detach() / 2

    def _load_from_state_dict(self, state, prefix, *rest):
        with torch.no_grad():
            self.weight.copy_(state.pop(prefix + "halved") * 2)


def _add_version(module, state, prefix, metadata):
    state[prefix + "version"] = torch.tensor(module.version)


def _take_version(module, state, prefix, *rest):
    module.version = int(state.pop(prefix + "version", torch.tensor(-1)))


class Hooked(torch.nn.Linear):
    """Hooks that add to what is saved and take it out again."""

    def __init__(self):
        super().__init__(2, 2)
        self.version = 1
        self._register_state_dict_hook(_add_version)
        self.register_load_state_dict_pre_hook(_take_version)


def tensor(random, dtype=None, size=None):
    dtype = dtype or random.choice(DTYPES)
    size = size if size is not None else random.choice([(), (0,), (3,), (2, 3), (2, 0, 2), (4, 4)])
    made = torch.tensor([random.uniform(-9, 9) for _ in range(max(1, int(numpy.prod(size))))],
                        dtype=torch.float64)[: int(numpy.prod(size))].reshape(size)
    if dtype.is_complex:
        return torch.complex(made, made + 1).to(dtype)
    return (made > 0) if dtype == torch.bool else made.abs().to(dtype) if dtype == torch.uint8 \
        else made.to(dtype)


def view(random, made):
    """The same, in another layout."""
    way = random.randrange(6)
    if way == 0 and made.dim() == 2:
        return made.t()
    if way == 1 and made.dim() > 0:
        return torch.stack([made, made])[1]
    if way == 2 and made.dtype.is_complex:
        return made.conj()
    if way == 3 and made.dtype in (torch.float32, torch.float64):
        return torch._neg_view(made)
    if way == 4 and made.dim() == 2 and made.shape[1] > 1:
        return torch.cat([made, made], 1)[:, ::2]
    return made


class Odd(torch.nn.Module):
    """Buffers of every kind."""

    def __init__(self, random):
        super().__init__()
        for index in range(random.randint(1, 4)):
            self.register_buffer(f"b{index}", view(random, tensor(random)))
        self.register_buffer("none", None)
        self.register_buffer("hidden", torch.ones(2), persistent=False)
        if random.random() < 0.3:
            self.register_buffer("quantized", torch.quantize_per_tensor(
                torch.rand(3), 0.1, 0, torch.quint8))
        if random.random() < 0.3:
            self.register_buffer("small", torch.zeros(2, 4, dtype=torch.uint8).random_(255).view(
                torch.float4_e2m1fn_x2))
        if random.random() < 0.2:
            self.register_buffer("deep", torch.rand([1] * 9))


def leaf(random):
    way = random.randrange(12)
    if way == 0:
        return Extra()
    if way == 1:
        return Override()
    if way == 2:
        return Hooked()
    if way in (3, 4, 5):
        return Odd(random)
    if way == 6:
        return torch.nn.BatchNorm1d(3)
    if way == 7:
        return torch.nn.Embedding(4, 3)
    if way == 8:
        return torch.nn.Conv2d(2, 2, 2).to(memory_format=torch.channels_last)
    return torch.nn.Linear(random.randint(1, 4), random.randint(1, 4), bias=random.random() < 0.7)


def module(random, depth=0):
    """A tree of modules, some of them shared, tied or frozen."""
    if depth == 2 or (depth > 0 and random.random() < 0.5):
        return leaf(random)
    children = [module(random, depth + 1) for _ in range(random.randint(1, 3))]
    if random.random() < 0.2:
        children.append(children[0])
    way = random.randrange(3)
    if way == 0:
        return torch.nn.Sequential(*children)
    if way == 1:
        return torch.nn.ModuleList(children)
    made = torch.nn.ModuleDict(dict(zip(random.sample(NAMES, len(children)), children)))
    if random.random() < 0.3:
        made.register_parameter("tied", next(made.parameters(), None))
    return made


def trained(model):
    return [parameter for parameter in model.parameters() if parameter.is_floating_point()]


class Nested(torch.optim.Optimizer):
    """State in containers, with keys that are no text, and text."""

    def __init__(self, parameters, lr=0.1):
        super().__init__(parameters, {"lr": lr, "betas": (0.9, torch.tensor(0.99))})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update(step=0, kind="factored", blocks={0: torch.zeros(2), "0": [1.5]},
                                 history=[torch.zeros_like(parameter), None], precise=torch.zeros(
                                     parameter.shape, dtype=torch.float64), shape=(1, "a"))
                    state["scaled"] = Scaled(torch.ones(3, dtype=torch.int8), torch.tensor(2.0))
                state["step"] += 1
                state["blocks"][0] += 1
                state["precise"] += parameter.grad.double()
                state["history"][0] = state["history"][0] + parameter.grad
                parameter.sub_(state["history"][0], alpha=0.01)


def optimizer(random, parameters):
    way = random.randrange(10)
    if way == 0:
        return Nested(parameters)
    if way == 1:
        return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    if way == 2:
        return torch.optim.Adagrad(parameters, lr=0.1)
    if way == 3:
        return torch.optim.RMSprop(parameters, lr=0.1, centered=True)
    if way == 4:
        return torch.optim.NAdam(parameters, lr=0.1)
    if way == 5:
        return torch.optim.Rprop(parameters, lr=0.1)
    if way == 6:
        return torch.optim.AdamW(parameters, lr=torch.tensor(0.1), amsgrad=True, foreach=False)
    if way == 7:
        return torch.optim.SGD(parameters, lr=0.1)
    half = len(parameters) // 2
    groups = [{"params": parameters[:half], "lr": 0.5}, {"params": parameters[half:]}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=0.1)


def optimizers(random, model):
    """A function that makes the same optimizers for the model and for its twin."""
    seed, count = random.random(), random.choice([0, 1, 1, 1, 2])

    def make(of):
        again, parameters = type(random)(seed), trained(of)
        if not parameters or count == 0:
            return []
        if count == 1 or len(parameters) < 2:
            return [optimizer(again, parameters)]
        return [optimizer(again, parameters[::2]), optimizer(again, parameters[1::2])]

    return make


def plain(random, depth=0):
    """Something that is no tensor, or holds some."""
    key = random.choice([str, int])
    way = random.randrange(24 if depth < 3 else 15)
    return [
        lambda: random.randint(-2**70, 2**70), random.random, lambda: float("-inf"), lambda: None,
        lambda: "".join(random.choices(string.printable + "é模\ud800\0", k=4)),
        lambda: random.random() < 0.5, lambda: bytes(random.randbytes(5)), lambda: random.choice(
            list(Color)), lambda: Mode.A | Mode.B, lambda: 1j * random.random(),
        lambda: numpy.float32(random.random()), lambda: numpy.arange(random.randint(0, 300)),
        lambda: datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), lambda: pathlib.Path(
            "/a/b"), lambda: random.choice([torch.bfloat16, torch.Size([1, 2]), torch.device("cpu"),
                                            range(1, 9, 2), {1, 2}, frozenset("ab")]),
        lambda: tensor(random), lambda: view(random, tensor(random)),
        lambda: [plain(random, depth + 1) for _ in range(random.randint(0, 3))],
        lambda: tuple(plain(random, depth + 1) for _ in range(random.randint(0, 3))),
        lambda: {key(random.randint(0, 9)): plain(random, depth + 1) for _ in range(3)},
        lambda: Point(plain(random, depth + 1), random.random()),
        lambda: random.choice([
            collections.OrderedDict(b=plain(random, depth + 1), a=1), collections.Counter("aab"),
            collections.deque([plain(random, depth + 1)], maxlen=3), collections.defaultdict(
                list, {(1, "a"): [plain(random, depth + 1)]})]),
        lambda: Record(1, plain(random, depth + 1)), lambda: notes(random, depth),
    ][way]()


def notes(random, depth):
    made = Notes({name: plain(random, depth + 1) for name in random.sample(NAMES, 2)})
    made.author = "somebody"
    return made


def wrapped(random, model):
    """The model, perhaps in a wrapper that renames its parameters."""
    if random.random() < 0.2:
        return torch.compile(model)
    if random.random() < 0.3:
        for name, child in model.named_children():
            if isinstance(child, torch.nn.Linear) and not isinstance(child, (Extra, Hooked)):
                setattr(model, name, checkpoint_wrapper(child)) if not isinstance(
                    model, (torch.nn.ModuleDict, torch.nn.ModuleList)) else None
    return model


# ---- change ----

def train(random, model, them):
    for parameter in trained(model):
        parameter.grad = None if random.random() < 0.2 else torch.ones_like(
            parameter) * random.random()
    for one in them:
        one.step()
    for inside in model.modules():
        if isinstance(inside, Extra):
            inside.seen = {**inside.seen, "calls": inside.seen["calls"] + 1,
                           "amax": torch.rand(4), "more": plain(random)}
        elif isinstance(inside, Hooked):
            inside.version += 1


def change(random, model, them, extra, before):
    """One thing that happens in a training's life."""
    way = random.randrange(14)
    parameters = trained(model)
    odd = [one for one in model.modules() if isinstance(one, Odd)]
    one = random.choice(odd) if odd else None
    if way == 0 and them and before:
        chosen = random.randrange(len(them))
        them[chosen].load_state_dict(before[chosen])
    elif way == 1 and them:
        random.choice(them).state.clear()
    elif way == 2 and parameters:
        chosen = random.choice(parameters)
        chosen.data = chosen.data.clone() + 1
    elif way == 3:
        square = [p for p in parameters if p.dim() == 2 and p.shape[0] == p.shape[1]]
        if square:
            chosen = random.choice(square)
            chosen.data = chosen.data.t()
    elif way == 4 and one is not None:
        one.none = None if one.none is not None else torch.rand(random.randint(1, 4))
    elif way == 5 and one is not None:
        one.b0 = view(random, tensor(random))
    elif way == 6 and one is not None and one.b0.dtype == torch.float32 and one.b0.is_contiguous() \
            and not one.b0.is_neg():
        one.b0.resize_(random.randint(1, 9)).fill_(2)
    elif way == 7:
        extra[random.choice(NAMES)] = plain(random)
    elif way == 8 and extra:
        extra.pop(random.choice(list(extra)))
    elif way == 9 and them:
        for group in random.choice(them).param_groups:
            if not isinstance(group["lr"], torch.Tensor):
                group["lr"] *= 0.5
    elif way == 10 and parameters:
        random.choice(parameters).requires_grad_(random.random() < 0.5)
    elif way == 11 and them:
        chosen = random.choice(them)
        for parameter in list(chosen.state):
            chosen.state[parameter] = {key: value.clone() if type(value) is torch.Tensor else value
                                       for key, value in chosen.state[parameter].items()}
    elif way == 12 and one is not None:
        one.register_buffer("later", torch.rand(2))
    else:
        train(random, model, them)


def spoil(random, model, extra):
    """What a process has that starts again: a state of the same shape, with other values."""
    with torch.no_grad():
        for one in [*model.parameters(), *model.buffers()]:
            if one.is_quantized or one.dtype == torch.float4_e2m1fn_x2:
                continue
            one.copy_(torch.zeros(one.shape, dtype=one.dtype))
    for inside in model.modules():
        if isinstance(inside, Extra):
            inside.seen = {"calls": -1, "amax": torch.zeros(4)}
        elif isinstance(inside, Hooked):
            inside.version = -1
        elif isinstance(inside, Odd) and random.random() < 0.5:
            inside.none = None
    for key in list(extra):
        if random.random() < 0.5:
            extra.pop(key)
        elif not isinstance(extra[key], dict):
            extra[key] = None


# ---- comparison ----

def differs(a, b, path=""):
    """Where two states are not the same, bit for bit and kind for kind; None where nowhere."""
    if type(a) is not type(b):
        return f"{path}: {type(a).__name__} is {type(b).__name__}"
    if isinstance(a, torch.Tensor):
        return _tensor_differs(a, b, path)
    if isinstance(a, numpy.ndarray):
        return None if a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() \
            else path
    if isinstance(a, dict):
        if set(map(repr, a)) != set(map(repr, b)):
            return f"{path}: {list(a)} is {list(b)}"
        return next(filter(None, (differs(a[key], b[key], f"{path}/{key}") for key in a)),
                    differs(getattr(a, "__dict__", None), getattr(b, "__dict__", None), path))
    if isinstance(a, (list, tuple, collections.deque)):
        if len(a) != len(b):
            return f"{path}: {len(a)} is {len(b)}"
        return next(filter(None, (differs(*pair, f"{path}/{i}")
                                  for i, pair in enumerate(zip(a, b)))), None)
    if dataclasses.is_dataclass(a):
        return differs(a.__dict__, b.__dict__, path)
    return None if a == b or (a != a and b != b) else f"{path}: {a!r} is {b!r}"


def _tensor_differs(a, b, path):
    if isinstance(a, Scaled):
        return differs([a.codes, a.scale], [b.codes, b.scale], path)
    if a.dtype != b.dtype or a.shape != b.shape or a.device != b.device:
        return f"{path}: {a.dtype} {tuple(a.shape)} is {b.dtype} {tuple(b.shape)}"
    if a.is_quantized:
        return differs(*([one.qscheme() == torch.per_tensor_affine, one.int_repr(),
                          one.dequantize()] for one in (a, b)), path)
    a, b = (one.detach().resolve_conj().resolve_neg().contiguous() for one in (a, b))
    if a.dtype == torch.complex128:
        a, b = torch.view_as_real(a), torch.view_as_real(b)
    same = torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))
    return None if same else f"{path}: {a.flatten()[:3]} is {b.flatten()[:3]}"
