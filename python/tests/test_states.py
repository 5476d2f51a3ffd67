# SPDX-License-Identifier: Apache-2.0
"""The table of docs/python.md, column by column: each kind of state is saved and comes back as what
it was, or is refused by name, and then at attach."""

import collections
import copy
import datetime
import io
import itertools
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading

import numpy
import pytest
import states_at_random as states
import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.checkpoint.state_dict import get_model_state_dict

import ckptd
from ckptd.states import load_state, save_state

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
ONES = torch.ones(2, 3)


_numbers = itertools.count(1)


@pytest.fixture
def attach_in_one_run(shared_cluster):
    """attach() for tests by the hundred: one run, whose older checkpoints are retired. A first
    attempt restores nothing."""
    base, opened = 10 * next(_numbers), []

    def attach_(model, optimizer=None, extra=None, attempt=1, **settings):
        one = ckptd.attach(model, optimizer, extra, run="states", attempt=base + attempt,
                           socket=shared_cluster.agents[0].socket, resume=attempt > 1, **settings)
        save = one.save
        one.save = lambda step: save(base + step)
        opened.append(one)
        return one

    yield attach_
    for one in opened:
        one.close()


class Buffered(torch.nn.Module):
    def __init__(self, value):
        super().__init__()
        self.register_buffer("value", value)


def lazy_neg():
    return torch._neg_view(torch.tensor([1.0, 3.0]))


TENSORS = {
    "dense, any dtype of safetensors": lambda: ONES.to(torch.float8_e4m3fn),
    "transposed, strided": lambda: torch.arange(6.0).reshape(2, 3).t(),
    "lazy conjugate": lambda: torch.tensor([1 + 2j, 3 - 1j]).conj(),
    "lazy negative": lazy_neg,
    "complex128": lambda: torch.tensor([1 + 2j], dtype=torch.complex128),
    "complex128, conjugate": lambda: torch.tensor([1 + 2j], dtype=torch.complex128).conj(),
    "complex32": lambda: torch.tensor([1 + 2j]).to(torch.complex32),
    "sub-byte": lambda: torch.arange(8, dtype=torch.uint8).reshape(2, 4).view(
        torch.float4_e2m1fn_x2),
    "bits": lambda: torch.arange(4, dtype=torch.uint8).view(torch.bits8),
    "quantized per tensor": lambda: torch.quantize_per_tensor(
        torch.rand(3), 0.1, 2, torch.quint8),
    "quantized per channel": lambda: torch.quantize_per_channel(
        torch.rand(2, 3), torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8),
    "wrapper subclass": lambda: states.Scaled(torch.arange(3, dtype=torch.int8),
                                              torch.tensor(0.5)),
    "no elements": lambda: torch.empty(0, 5),
    "a scalar": lambda: torch.tensor(5, dtype=torch.uint64),
    "nine dimensions": lambda: torch.rand([1, 2] + [1] * 7),
    "a view of another": lambda: torch.arange(10.0)[3:7],
}


class Unflattenable(torch.Tensor):
    @staticmethod
    def __new__(cls):
        return torch.Tensor._make_wrapper_subclass(cls, (2,), dtype=torch.float32)

    def __tensor_flatten__(self):
        return [], None

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return args[0]


REFUSED_TENSORS = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "meta": lambda: torch.ones(2, device="meta"),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "subclass that cannot be put together": Unflattenable,
}
VALUES = {
    "numbers": lambda: [1, -2**80, 0.1, float("inf"), 1j, True, None],
    "text": lambda: ["zürich", "\ud800", "\0", ""],
    "bytes": lambda: [b"\x00\xff", bytearray(b"ab")],
    "BytesIO": lambda: io.BytesIO(b"abc"),
    "tuples": lambda: ((1, "a"), ()),
    "named tuple": lambda: states.Point(torch.ones(2), 3),
    "enum": lambda: [states.Color.RED, states.Mode.A | states.Mode.B, signal.SIGTERM],
    "Counter": lambda: collections.Counter("aab"),
    "OrderedDict": lambda: collections.OrderedDict(z=1, a=torch.ones(1)),
    "defaultdict": lambda: collections.defaultdict(list, {1: [torch.ones(1)]}),
    "deque": lambda: collections.deque([1, 2], maxlen=4),
    "sets": lambda: [{1, 2}, frozenset("ab")],
    "keys of any kind": lambda: {1: "a", "1": "b", (1, 2): "c", None: "d", True: "e"},
    "keys that collide as paths": lambda: {"a/b": torch.ones(1), "a": {"b": torch.zeros(1)},
                                           1: torch.ones(2), "1": torch.zeros(2), "": ONES},
    "a key of 300 bytes": lambda: {"k" * 300: ONES, "/" * 300: ONES, "..": ONES, "模:<": ONES},
    "NumPy scalars": lambda: [numpy.float32(0.5), numpy.int64(3), numpy.bool_(True)],
    "NumPy arrays": lambda: [numpy.arange(1000).reshape(10, 100), numpy.asfortranarray(
        numpy.ones((2, 3)))],
    "dataclass": lambda: states.Record(1, {"t": torch.ones(2)}),
    "a dictionary of a class of one's own": lambda: states.Notes(a=1, b=torch.ones(2)),
    "dates": lambda: [datetime.datetime(2026, 1, 2, 3, 4, 5), datetime.timedelta(1, 2, 3)],
    "Path": lambda: pathlib.Path("/a/b"),
    "dtype, device, Size": lambda: [torch.bfloat16, torch.device("cpu"), torch.Size([1, 2])],
    "range": lambda: range(1, 9, 2),
}


def local_class():
    return type("Local", (dict,), {})(a=1)


REFUSED_VALUES = {
    "any other object": object,
    "a lock": threading.Lock,
    "a function": lambda: len,
    "a class that cannot be found again": local_class,
    "a defaultdict of a function": lambda: collections.defaultdict(lambda: 1),
    "an array of objects": lambda: numpy.array([object()]),
}


def same(a, b):
    if isinstance(a, io.BytesIO):
        return type(b) is io.BytesIO and a.getvalue() == b.getvalue()
    return states.differs(a, b) is None


# ---- attach: buffers, optimizer state, extra state ----

@pytest.mark.parametrize("kind", TENSORS)
def test_attach_buffer(attach_in_one_run, kind):
    model = Buffered(TENSORS[kind]())
    wanted = copy.deepcopy(model.state_dict())
    with attach_in_one_run(model) as checkpoint:
        checkpoint.save(1).consistent(20)
    other = Buffered(TENSORS[kind]())
    if kind not in ("sub-byte", "bits", "quantized per tensor", "quantized per channel"):
        with torch.no_grad():
            other.value.copy_(torch.zeros(other.value.shape, dtype=other.value.dtype))
    attach_in_one_run(other, attempt=2)
    assert same(wanted["value"], other.value)


class Holds(torch.optim.Optimizer):
    """An optimizer whose state is anything."""

    def __init__(self, parameters, value):
        super().__init__(parameters, {"lr": 0.1})
        self.value = value

    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["held"] = self.value


@pytest.mark.parametrize("kind", [*TENSORS, *VALUES])
def test_attach_optimizer_state(attach_in_one_run, kind):
    value = {**TENSORS, **VALUES}[kind]()
    model = torch.nn.Linear(2, 3)
    optimizer = Holds(model.parameters(), value)
    optimizer.step()
    with attach_in_one_run(model, optimizer) as checkpoint:
        checkpoint.save(1).consistent(20)
    its = Holds(model.parameters(), None)
    attach_in_one_run(model, its, attempt=2)
    for state in its.state.values():
        assert same(value, state["held"])


@pytest.mark.parametrize("kind", [*TENSORS, *VALUES])
def test_attach_extra(attach_in_one_run, kind):
    value = {**TENSORS, **VALUES}[kind]()
    with attach_in_one_run(torch.nn.Linear(1, 1), None, {"it": value}) as checkpoint:
        checkpoint.save(1).consistent(20)
    found = {}
    attach_in_one_run(torch.nn.Linear(1, 1), None, found, attempt=2)
    assert same(value, found["it"])


@pytest.mark.parametrize("kind", [*REFUSED_TENSORS, *REFUSED_VALUES])
def test_attach_refuses_by_name(attach_in_one_run, kind):
    make = {**REFUSED_TENSORS, **REFUSED_VALUES}[kind]
    with pytest.raises(ckptd.StateError, match="extra/deep/it"):
        attach_in_one_run(torch.nn.Linear(1, 1), None, {"deep": {"it": make()}})
    model = torch.nn.Linear(2, 2)
    optimizer = Holds(model.parameters(), make())
    optimizer.step()
    with pytest.raises(ckptd.StateError, match="optim/weight/held"):
        attach_in_one_run(model, optimizer)
    if kind in REFUSED_TENSORS:
        with pytest.raises(ckptd.StateError, match="inside.value"):
            attach_in_one_run(torch.nn.ModuleDict({"inside": Buffered(make())}))


def test_attach_refuses_more(attach):
    with pytest.raises(ckptd.StateError, match="extra/log has|extra/log is .* no load_state_dict"):
        attach(torch.nn.Linear(1, 1), None, {"log": type("Log", (), {"state_dict": dict})()})
    with pytest.raises(ckptd.StateError, match="value is expanded"):
        attach(Buffered(torch.ones(1).expand(3)))
    with pytest.raises(ckptd.StateError, match="not the attached model's"):
        attach(torch.nn.Linear(1, 1), torch.optim.SGD(torch.nn.Linear(1, 1).parameters()))


# ---- states: what the framework adapters are made of ----

@pytest.mark.parametrize("kind", [*TENSORS, *VALUES])
def test_states(shared_cluster, kind):
    value = {**TENSORS, **VALUES}[kind]()
    step = next(_numbers)
    with ckptd.Context("kinds", attempt=step,
                       socket=shared_cluster.agents[0].socket) as context:
        save_state(context, step, {"it": value})
        context.wait(step, 20)
        with context.load() as shard:
            assert same(value, load_state(shard)["it"])


@pytest.mark.parametrize("kind", [*REFUSED_TENSORS, *REFUSED_VALUES])
def test_states_refuse_by_name(shared_cluster, run, kind):
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        with pytest.raises(ckptd.StateError, match="state/deep/it"):
            save_state(context, 1, {"deep": {"it": {**REFUSED_TENSORS, **REFUSED_VALUES}[kind]()}})


# ---- torch.distributed.checkpoint ----

REFUSED_BY_DCP = ["complex128", "complex128, conjugate", "complex32", "sub-byte", "bits",
                  "quantized per tensor", "quantized per channel", "wrapper subclass",
                  "nine dimensions", *REFUSED_TENSORS, *REFUSED_VALUES]
NAMELESS = ["nested", "subclass that cannot be put together"]  # PyTorch's planner comes first
FLATTENED_BY_DCP = [kind for kind, make in {**VALUES, **REFUSED_VALUES}.items()
                    if isinstance(make(), dict)]  # by PyTorch's planner, before ckptd sees them


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [kind for kind in {**TENSORS, **VALUES, **REFUSED_TENSORS,
                                                    **REFUSED_VALUES}
                                  if kind not in FLATTENED_BY_DCP])
def test_dcp(shared_cluster, kind):
    value = {**TENSORS, **VALUES, **REFUSED_TENSORS, **REFUSED_VALUES}[kind]()
    step = next(_numbers)
    with ckptd.Context("dcp", attempt=step, socket=shared_cluster.agents[0].socket) as context:
        def save(name="it"):
            torch.distributed.checkpoint.save({name: value}, checkpoint_id=step,
                                              storage_writer=ckptd.dcp.Writer(context))

        if kind in REFUSED_BY_DCP:
            # torch's CheckpointException is none of Exception
            with pytest.raises(BaseException, match=None if kind in NAMELESS else "unusual"):
                save("unusual")
            for writer in (ckptd.dcp.Writer(context), ckptd.dcp.Writer(context).at(step)):
                with pytest.raises(BaseException, match="unusual"):
                    torch.distributed.checkpoint.async_save(
                        {"unusual": value}, checkpoint_id=step, storage_writer=writer).result()
                writer.close()
            return
        save()
        found = {"it": torch.zeros(value.shape, dtype=value.dtype) if isinstance(
            value, torch.Tensor) else None}
        torch.distributed.checkpoint.load(found, checkpoint_id=step,
                                          storage_reader=ckptd.dcp.Reader(context))
        assert same(value, found["it"])


# ---- modules ----

@pytest.mark.parametrize("make", [states.Extra, states.Override, states.Hooked])
def test_hooks_overrides_and_extra_state(attach_in_one_run, make):
    """TransformerEngine#982 and its kin: state that is no parameter and no buffer."""
    model = torch.nn.Sequential(make(), torch.nn.Linear(2, 2))
    states.train(random.Random(1), model, [])
    wanted = copy.deepcopy(model.state_dict())
    with attach_in_one_run(model) as checkpoint:
        checkpoint.save(1).consistent(20)
    other = torch.nn.Sequential(make(), torch.nn.Linear(2, 2))
    attach_in_one_run(other, attempt=2)
    assert same(dict(wanted), dict(other.state_dict()))


def wrapped(way, model):
    if way == "compile":
        return torch.compile(model)
    if way == "compiled inside":
        model[0] = torch.compile(model[0])
    elif way == "activation checkpointing":
        model[0] = checkpoint_wrapper(model[0])
    elif way == "both":
        model[0] = torch.compile(checkpoint_wrapper(model[0]))
    return model


WRAPPERS = ["bare", "compile", "compiled inside", "activation checkpointing", "both"]


@pytest.mark.parametrize("saved", WRAPPERS)
@pytest.mark.parametrize("restored", WRAPPERS)
def test_wrappers_that_rename(attach_in_one_run, saved, restored):
    def make(seed):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(2, 2), states.Extra()),
                                    torch.nn.BatchNorm1d(2))
        return model, torch.optim.AdamW(model.parameters())

    model, optimizer = make(1)
    states.train(random.Random(1), model, [optimizer])
    wanted = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    whole = wrapped(saved, model)
    with attach_in_one_run(whole, optimizer) as checkpoint:
        # Names are PyTorch's own without wrappers.
        assert set(checkpoint._registered.model.now.keys) == set(get_model_state_dict(whole))
        checkpoint.save(1).consistent(20)
    other, its = make(2)
    attach_in_one_run(wrapped(restored, other), its, attempt=2)
    found = get_model_state_dict(other)
    assert same({name: found[name] for name in wanted[0]}, dict(wanted[0]))
    assert same(wanted[1]["state"], its.state_dict()["state"])


def test_a_module_with_a_name_of_another_space(attach):
    names = ["optimal", "optim", "extra", "optim/0", "state/x", "ckptd/name", "rng/"]
    model = torch.nn.ModuleDict({name: torch.nn.Linear(2, 2) for name in names})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    states.train(random.Random(3), model, [optimizer])
    wanted = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    extra = {"0.weight": torch.ones(3), "x": {"/": torch.ones(1)}}
    with attach(model, optimizer, extra) as checkpoint:
        checkpoint.save(1).consistent(20)
    states.train(random.Random(4), model, [optimizer])
    attach(model, optimizer, extra, attempt=2)
    assert same(dict(wanted[0]), dict(model.state_dict()))
    assert same(wanted[1]["state"], optimizer.state_dict()["state"])


@pytest.mark.parametrize("options", [{"fused": True}, {"capturable": False}, {"foreach": True}])
def test_the_step_goes_where_pytorch_has_it(attach_in_one_run, options):
    model = torch.nn.Linear(2, 2).double()
    optimizer = torch.optim.AdamW(model.parameters(), **options)
    model(torch.ones(1, 2).double()).sum().backward()
    optimizer.step()
    optimizer.state[model.weight]["exp_avg"] = optimizer.state[model.weight]["exp_avg"].float()
    with attach_in_one_run(model, optimizer) as checkpoint:
        checkpoint.save(1).consistent(20)
    own = torch.optim.AdamW(model.parameters(), **options)
    own.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    its = torch.optim.AdamW(model.parameters(), **options)
    attach_in_one_run(model, its, attempt=2)
    for parameter in model.parameters():
        for key, value in own.state[parameter].items():
            mine = its.state[parameter][key]
            assert mine.device == value.device and torch.equal(mine.to(value.dtype), value)
            assert mine.dtype == optimizer.state[parameter][key].dtype  # never cast


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [
    "SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop",
    "ASGD", "Adafactor", "LBFGS", "Muon"])
def test_optimizers_go_on(attach_in_one_run, name):
    def make():
        torch.manual_seed(1)
        model = torch.nn.Linear(8, 8, bias=False)
        return model, getattr(torch.optim, name)(model.parameters(), lr=0.01)

    def steps(model, optimizer, numbers):
        for number in numbers:
            torch.manual_seed(number)
            batch = torch.randn(4, 8)

            def closure():
                optimizer.zero_grad()
                loss = (model(batch) - batch).square().mean()
                loss.backward()
                return loss

            optimizer.step(closure)
        return copy.deepcopy(dict(model.state_dict()))

    model, optimizer = make()
    with attach_in_one_run(model, optimizer) as checkpoint:
        steps(model, optimizer, range(3))
        checkpoint.save(3).consistent(20)
    other, its = make()
    attach_in_one_run(other, its, attempt=2)
    assert same(steps(model, optimizer, range(3, 6)), steps(other, its, range(3, 6)))


def test_a_lazy_module_is_saved_once_it_has_run(attach):
    def make():
        return torch.nn.Sequential(torch.nn.LazyLinear(3), torch.nn.Linear(3, 1))

    model = make()
    with attach(model) as checkpoint:  # nothing is refused that may still become something
        with pytest.raises(ckptd.StateError, match="0.weight is .*run the model once first"):
            checkpoint.save(1)
        model(torch.ones(2, 5))
        checkpoint.save(2).consistent(20)
    other = make()
    attach(other, attempt=2)
    assert same(dict(model.state_dict()), dict(other.state_dict()))


def test_an_expanded_tensor_is_whole_in_a_state(shared_cluster, run):
    value = torch.arange(3.0).expand(4, 3)
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        save_state(context, 1, {"it": value})
        context.wait(1, 20)
        with context.load() as shard:
            assert torch.equal(load_state(shard)["it"], value)


def test_a_frozen_parameter_costs_no_shard(attach, monkeypatch):
    """It has no state, and that is known: nothing is looked for in other ranks' shards."""
    def make():
        model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
        model[0].requires_grad_(False)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1)

    model, optimizer = make()
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    with attach(model, optimizer) as checkpoint:
        checkpoint.save(1).consistent(20)
    for way in ("fetch", "open"):
        monkeypatch.setattr(ckptd.Context, way, lambda *_, **__: pytest.fail("a shard is fetched"))
    other, its = make()
    attach(other, its, attempt=2)
    assert same(optimizer.state_dict()["state"], its.state_dict()["state"])


# ---- what must not happen ----

def test_attach_changes_nothing(attach):
    """A run with attach() is bit for bit the run without: no step, no random number, no state."""
    class Draws:
        def state_dict(self):
            return {"number": float(torch.rand(1)), "python": random.random()}

        def load_state_dict(self, state):
            pass

    def train(with_attach):
        random.seed(5)
        torch.manual_seed(5)
        model = torch.nn.Sequential(torch.nn.Linear(4, 4), states.Extra(), torch.nn.Dropout(0.5))
        model[1].forward = lambda x: x
        optimizers = [torch.optim.AdamW(model[0].parameters()),
                      torch.optim.SGD(model[1].parameters(), momentum=0.9)]
        if with_attach:
            attach(model, optimizers, {"draws": Draws()}, resume=False)
            assert not optimizers[0].state and not optimizers[1].state
            assert all(parameter.grad is None for parameter in model.parameters())
        for _ in range(3):
            model(torch.rand(3, 4)).sum().backward()
            for optimizer in optimizers:
                optimizer.step()
        return [dict(model.state_dict()), [one.state_dict() for one in optimizers],
                random.getstate(), torch.get_rng_state()]

    assert same(train(False), train(True))


def test_a_restore_that_does_not_fit_overwrites_nothing(attach):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 3))
    optimizer = torch.optim.AdamW(model.parameters())
    states.train(random.Random(1), model, [optimizer])
    with attach(model, optimizer, {"a": 1}) as checkpoint:
        checkpoint.save(1).consistent(20)

    attempts = itertools.count(2)

    def refused(other, its, extra, words):
        before = copy.deepcopy(other.state_dict()), copy.deepcopy(its.state_dict())
        with pytest.raises(ckptd.StateError, match=words) as caught:
            attach(other, its, extra, attempt=next(attempts))
        assert "in the model already" not in caught.value.reason
        assert same(dict(before[0]), dict(other.state_dict())) and same(before[1], its.state_dict())

    def make(*sizes):
        other = torch.nn.Sequential(*(torch.nn.Linear(*size) for size in sizes))
        return other, torch.optim.AdamW(other.parameters())

    refused(*make((2, 2), (2, 4)), {}, r"1.weight was saved as torch.float32 \(3, 2\) and is "
                                       r"torch.float32 \(4, 2\) now")
    refused(*make((2, 2)), {}, "groups of")
    refused(*make((2, 2), (2, 3)), {"b": 2}, "lacks extra/b")
    other, _ = make((2, 2), (2, 3))
    refused(other, torch.optim.SGD(other.parameters()), {}, "AdamW and is .*SGD now")
    resumed = attach(*make((2, 2), (2, 3)), {"b": 2}, attempt=next(attempts), strict=False)
    assert resumed.left == ["it lacks extra/b"] and resumed.resumed == 1


def test_an_error_after_the_first_byte_says_that_the_model_was_touched(attach):
    class Stubborn:
        def state_dict(self):
            return {"a": 1}

        def load_state_dict(self, state):
            raise RuntimeError("not this")

    with attach(torch.nn.Linear(1, 1), None, {"it": Stubborn()}) as checkpoint:
        checkpoint.save(1).consistent(20)
    with pytest.raises(ckptd.StateError, match="step 1: RuntimeError: not this.*in the model"):
        attach(torch.nn.Linear(1, 1), None, {"it": Stubborn()}, attempt=2)


def test_a_save_in_a_signal_handler_inside_a_save(shared_cluster, run):
    """As Slurm users write it: SIGTERM arrives at any moment, and the handler saves once more."""
    program = f"""
import os, signal, sys, threading, time, faulthandler
sys.path.insert(0, {os.path.join(ROOT, 'python')!r})
import torch, ckptd
model = torch.nn.Linear(64, 64)
one = ckptd.attach(model, None, {{"a": list(range(2000))}}, run={run!r}, rank=0, world=1, attempt=1,
                   socket={shared_cluster.agents[0].socket!r})
faulthandler.dump_traceback_later(60, exit=True)
step, inside, saved, fail = 0, 0, 0, []
def handler(number, frame):
    global step, inside, saved
    step += 1
    while frame is not None:
        inside += frame.f_code.co_name == "save"
        frame = frame.f_back
    handle = one.save(step)
    saved += handle.error is None
    if handle.error is not None and "slot" not in str(handle.error):
        fail.append(handle.error)
    signal.setitimer(signal.ITIMER_REAL, 0.003)  # the next, once this one is done
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.01)
ends = time.monotonic() + 4
while time.monotonic() < ends:
    step += 1
    one.save(step)
signal.setitimer(signal.ITIMER_REAL, 0)
print(inside > 20, saved > 20, fail)
"""
    said = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True,
                          text=True, timeout=120)
    assert said.stdout.strip() == "True True []", said.stdout + said.stderr


# ---- what goes with a training ----

SCHEDULERS = {
    "StepLR": lambda o: torch.optim.lr_scheduler.StepLR(o, 2),
    "MultiStepLR": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2, 2, 5]),
    "CosineAnnealingLR": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 9),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, 20),
    "CyclicLR": lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.1, 1.0, cycle_momentum=False),
    "CosineAnnealingWarmRestarts":
        lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "LambdaLR": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda e: 0.9**e),
    "MultiplicativeLR": lambda o: torch.optim.lr_scheduler.MultiplicativeLR(o, lambda e: 0.9),
    "ExponentialLR": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
    "ReduceLROnPlateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0),
    "PolynomialLR": lambda o: torch.optim.lr_scheduler.PolynomialLR(o, 9),
    "ConstantLR": lambda o: torch.optim.lr_scheduler.ConstantLR(o, total_iters=4),
    "LinearLR": lambda o: torch.optim.lr_scheduler.LinearLR(o),
    "SequentialLR": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o, [torch.optim.lr_scheduler.LinearLR(o, total_iters=5),
            torch.optim.lr_scheduler.MultiStepLR(o, [2, 4])], [6]),
    "ChainedScheduler": lambda o: torch.optim.lr_scheduler.ChainedScheduler(
        [torch.optim.lr_scheduler.ConstantLR(o, total_iters=4),
         torch.optim.lr_scheduler.ExponentialLR(o, 0.9)], optimizer=o),
    "SWALR": lambda o: torch.optim.swa_utils.SWALR(o, 0.05),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tensor_lr", [False, True])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_go_on(attach_in_one_run, name, tensor_lr):
    def make():
        model = torch.nn.Linear(2, 2)
        optimizer = torch.optim.SGD(model.parameters(), momentum=0.9,
                                    lr=torch.tensor(0.5) if tensor_lr else 0.5)
        return model, optimizer, SCHEDULERS[name](optimizer)

    def steps(optimizer, schedule, numbers):
        rates = []
        for number in numbers:
            optimizer.step()
            schedule.step(*([1.0 / (number + 1)] if name == "ReduceLROnPlateau" else []))
            rates.append(float(optimizer.param_groups[0]["lr"]))
        return rates

    model, optimizer, schedule = make()
    with attach_in_one_run(model, optimizer, {"schedule": schedule}) as checkpoint:
        steps(optimizer, schedule, range(4))
        checkpoint.save(4).consistent(20)
    other, its, its_schedule = make()
    attach_in_one_run(other, its, {"schedule": its_schedule}, attempt=2)
    kinds = {key: type(value) for key, value in schedule.state_dict().items()}
    assert kinds == {key: type(value) for key, value in its_schedule.state_dict().items()}
    assert steps(optimizer, schedule, range(4, 12)) == steps(its, its_schedule, range(4, 12))


class Loader(torch.utils.data.DataLoader):
    """As torchdata's StatefulDataLoader: it draws its seed when it is first asked for its state."""

    seed = None
    at = 0

    def state_dict(self):
        if self.seed is None:
            self.seed = int(torch.randint(2**31, ()))
        return {"seed": self.seed, "at": self.at}

    def load_state_dict(self, state):
        self.seed, self.at = state["seed"], state["at"]


def test_random_numbers_scaler_sampler_and_loader_go_on(attach):
    def make():
        return {"scaler": torch.amp.GradScaler("cpu", init_scale=8.0),
                "loader": Loader(list(range(9))), "generator": torch.Generator().manual_seed(3),
                "nested": [torch.optim.swa_utils.AveragedModel(torch.nn.Linear(2, 2)), {"n": 1}]}

    def draw(extra):
        return [random.random(), float(numpy.random.rand()), torch.rand(3).tolist(),
                torch.rand(3, generator=extra["generator"]).tolist(),
                extra["loader"].state_dict(), extra["scaler"].state_dict(),
                {key: value.tolist() for key, value in extra["nested"][0].state_dict().items()}]

    extra = make()
    random.seed(1), numpy.random.seed(2), torch.manual_seed(3)
    draw(extra)
    extra["scaler"].scale(torch.ones(1))
    extra["scaler"].update(16.0)
    with attach(torch.nn.Linear(1, 1), None, extra, rng=True) as checkpoint:
        assert extra["loader"].seed is not None
        checkpoint.save(1).consistent(20)
    wanted = draw(extra)
    random.seed(7), numpy.random.seed(7), torch.manual_seed(7)
    again = make()
    attach(torch.nn.Linear(1, 1), None, again, attempt=2, rng=True)
    assert draw(again) == wanted
