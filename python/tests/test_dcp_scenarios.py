# SPDX-License-Identifier: Apache-2.0
"""PyTorch's writer and reader as judges: what works with them, in their scenarios, works here.

Each scenario is one function, and runs twice: through FileSystemWriter and FileSystemReader, which
must pass, and through ckptd's. docs/python.md has the count.
"""

import collections
import copy
import dataclasses
import datetime
import enum
import functools
import io
import pathlib
import tempfile

import numpy
import pytest
import torch
import torch.distributed as distributed
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
    set_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

import ckptd
import ranks
from ckptd.dcp import Reader, Writer


class Torch:
    """PyTorch's own storage, step by step in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def save(self, state, step, **more):
        dcp.save(state, checkpoint_id=f"{self.folder}/{step}", **more)

    def async_save(self, state, step, **more):
        return dcp.async_save(state, checkpoint_id=f"{self.folder}/{step}", **more)

    def load(self, state, step, **more):
        dcp.load(state, checkpoint_id=f"{self.folder}/{step}", **more)

    def load_keys(self, keys, step):
        from torch.distributed.checkpoint.state_dict_loader import _load_state_dict_from_keys

        return _load_state_dict_from_keys(keys, checkpoint_id=f"{self.folder}/{step}")


class Ours(Torch):
    """The same calls, to the agents' memory."""

    def __init__(self, context):
        self.context, self.writer, self.reader = context, Writer(context), Reader(context)

    def save(self, state, step, **more):
        dcp.save(state, checkpoint_id=step, storage_writer=self.writer, **more)

    def async_save(self, state, step, **more):
        return dcp.async_save(state, checkpoint_id=step, storage_writer=self.writer, **more)

    def load(self, state, step, **more):
        dcp.load(state, checkpoint_id=step, storage_reader=self.reader, **more)

    def load_keys(self, keys, step):
        from torch.distributed.checkpoint.state_dict_loader import _load_state_dict_from_keys

        return _load_state_dict_from_keys(keys, checkpoint_id=step, storage_reader=self.reader)


SCENARIOS = {}


def scenario(world):
    def add(function):
        SCENARIOS[function.__name__] = (world, function)
        return function

    return add


def mesh(world=2, shape=None, names=None):
    return init_device_mesh("cpu", shape or (world,), mesh_dim_names=names)


def data(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def full(value):
    return value.full_tensor() if isinstance(value, DTensor) else value


def same(a, b):
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif torch.is_tensor(a):
        assert torch.equal(full(a), full(b))
    else:
        assert type(a) is type(b) and a == b, (a, b)


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.first, self.second = nn.Linear(8, width), nn.Linear(width, 8)
        self.register_buffer("count", torch.zeros(3))

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def trained(seed=0, wrap=lambda model: model, kind=torch.optim.AdamW):
    torch.manual_seed(seed)
    model = wrap(Net())
    optimizer = kind(model.parameters(), lr=0.01)
    for step in range(3):
        model(data(step, 4, 8)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


# ---- one rank ----


@scenario(1)
def a_plain_state_dict(store, rank):
    state = Net().state_dict()
    store.save(state, 1)
    loaded = {name: torch.zeros_like(value) for name, value in state.items()}
    store.load(loaded, 1)
    same(state, loaded)


@scenario(1)
def nested_containers(store, rank):
    state = {"a": {"b": [torch.ones(2), {"c": torch.zeros(3)}], "d": 5}, "e": [1, "x", [2.5]]}
    store.save(state, 1)
    loaded = {"a": {"b": [torch.zeros(2), {"c": torch.ones(3)}], "d": 0}, "e": [0, "", [0.0]]}
    store.load(loaded, 1)
    assert loaded["a"]["d"] == 5 and loaded["e"] == [1, "x", [2.5]]
    same(state["a"]["b"][0], loaded["a"]["b"][0])
    same(state["a"]["b"][1]["c"], loaded["a"]["b"][1]["c"])


@scenario(1)
def scalars_and_empty_tensors(store, rank):
    state = {"scalar": torch.tensor(3.5), "empty": torch.zeros(0), "rows": torch.zeros(0, 4),
             "flag": torch.tensor(True), "half": torch.ones(3, dtype=torch.bfloat16)}
    store.save(state, 1)
    loaded = {name: torch.zeros_like(value) for name, value in state.items()}
    store.load(loaded, 1)
    same(state, loaded)


@scenario(1)
def every_type(store, rank):
    kinds = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
             torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64,
             torch.float8_e4m3fn, torch.float8_e5m2]
    state = {str(kind): torch.ones(4).to(kind) for kind in kinds}
    store.save(state, 1)
    loaded = {name: torch.zeros(4).to(value.dtype) for name, value in state.items()}
    store.load(loaded, 1)
    for name, value in state.items():
        assert torch.equal(value.to(torch.float32), loaded[name].to(torch.float32)), name


@scenario(1)
def strided_and_transposed(store, rank):
    state = {"t": data(1, 4, 6).t(), "every": data(2, 10)[::3], "view": data(3, 4, 4)[1:, :2]}
    store.save(state, 1)
    loaded = {name: torch.zeros(value.shape).t().contiguous().t() if value.dim() == 2 else
              torch.zeros(value.shape) for name, value in state.items()}
    store.load(loaded, 1)
    same(state, loaded)


@scenario(1)
def lazy_views(store, rank):
    z = torch.tensor([1 + 2j, 3 + 4j])
    state = {"conj": z.conj(), "neg": z.conj().imag}
    store.save(state, 1)
    loaded = {"conj": torch.zeros(2, dtype=torch.complex64), "neg": torch.zeros(2)}
    store.load(loaded, 1)
    same(state, loaded)


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 7


Pair = collections.namedtuple("Pair", "left right")


@dataclasses.dataclass
class Settings:
    width: int
    names: list


@scenario(1)
def values_of_many_kinds(store, rank):
    state = {
        "none": None, "text": "é", "bytes": b"\x00\xff", "tuple": (1, (2.5, "x")), "set": {1, 2},
        "color": Color.RED, "level": Level.HIGH, "pair": Pair(1, "b"), "big": 2**70,
        "settings": Settings(3, ["a"]), "path": pathlib.Path("/a/b"), "complex": 1 + 2j,
        "when": datetime.datetime(2026, 1, 2, 3, 4, 5), "dtype": torch.bfloat16,
        "size": torch.Size([2, 3]), "device": torch.device("cpu"), "nan": float("inf"),
        "counter": (collections.Counter("aab"),), "ordered": (collections.OrderedDict(a=1),),
        "scalar": numpy.float32(2.5), "tensors": (torch.ones(2), "x"),
    }
    store.save(state, 1)
    loaded = {name: 0 for name in state}
    store.load(loaded, 1)
    same({name: value for name, value in state.items() if name != "tensors"},
         {name: value for name, value in loaded.items() if name != "tensors"})
    assert torch.equal(loaded["tensors"][0], torch.ones(2)) and loaded["tensors"][1] == "x"


@scenario(1)
def numpy_arrays(store, rank):
    state = {"small": numpy.arange(6).reshape(2, 3), "large": numpy.random.rand(50, 50)}
    store.save(state, 1)
    loaded = {"small": 0, "large": 0}
    store.load(loaded, 1)
    for name, value in state.items():
        assert loaded[name].dtype == value.dtype and numpy.array_equal(loaded[name], value)


class Holder:
    """A Stateful whose state is bytes in a buffer."""

    def __init__(self, text=b""):
        self.text = text

    def state_dict(self):
        return {"buffer": io.BytesIO(self.text), "n": len(self.text)}

    def load_state_dict(self, state):
        state["buffer"].seek(0)
        self.text = state["buffer"].read()
        assert len(self.text) == state["n"]


@scenario(1)
def a_buffer_in_a_stateful(store, rank):
    store.save({"holder": Holder(b"abc")}, 1)
    holder = Holder(b"")
    store.load({"holder": holder}, 1)
    assert holder.text == b"abc"


@scenario(1)
def models_and_optimizers_are_stateful(store, rank):
    model, optimizer = trained()
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    state = {"model": model, "optimizer": optimizer, "schedule": schedule}
    store.save(state, 1)
    other, other_optimizer = trained(seed=9)
    other_schedule = torch.optim.lr_scheduler.StepLR(other_optimizer, 5)
    store.load({"model": other, "optimizer": other_optimizer, "schedule": other_schedule}, 1)
    same(dict(model.state_dict()), dict(other.state_dict()))
    assert other_schedule.step_size == 2
    for a, b in zip(optimizer.state.values(), other_optimizer.state.values()):
        same(a, b)


@scenario(1)
def state_dict_functions(store, rank):
    model, optimizer = trained()
    states = get_state_dict(model, optimizer)
    store.save({"model": states[0], "optimizer": states[1]}, 1)
    other, other_optimizer = trained(seed=9)
    loaded = dict(zip(("model", "optimizer"), get_state_dict(other, other_optimizer)))
    store.load(loaded, 1)
    set_state_dict(other, other_optimizer, model_state_dict=loaded["model"],
                   optim_state_dict=loaded["optimizer"])
    for a, b in zip(optimizer.state.values(), other_optimizer.state.values()):
        same(a, b)


@scenario(1)
def a_part_of_the_keys(store, rank):
    store.save({"a": torch.ones(3), "b": torch.ones(4), "n": 3}, 1)
    loaded = {"a": torch.zeros(3)}
    store.load(loaded, 1)
    assert loaded["a"].tolist() == [1, 1, 1]


@scenario(1)
def keys_without_a_target(store, rank):
    store.save({"model": {"a": torch.ones(3), "b": torch.ones(4)}, "n": 3}, 1)
    found = store.load_keys(None, 1)
    assert found["model"]["b"].tolist() == [1] * 4 and found["n"] == 3
    found = store.load_keys("model.a", 1)
    assert list(found["model"]) == ["a"] and found["model"]["a"].tolist() == [1] * 3


@scenario(1)
def a_missing_key_is_refused(store, rank):
    store.save({"a": torch.ones(3)}, 1)
    with pytest.raises(BaseException, match="b"):
        store.load({"a": torch.zeros(3), "b": torch.zeros(3)}, 1)


@scenario(1)
def a_partial_load_is_allowed_when_asked_for(store, rank):
    store.save({"a": torch.ones(3)}, 1)
    loaded = {"a": torch.zeros(3), "b": torch.zeros(3)}
    store.load(loaded, 1, planner=DefaultLoadPlanner(allow_partial_load=True))
    assert loaded["a"].tolist() == [1] * 3 and loaded["b"].tolist() == [0] * 3


@scenario(1)
def another_shape_is_refused(store, rank):
    store.save({"a": torch.ones(3)}, 1)
    with pytest.raises(BaseException, match="(?i)size"):
        store.load({"a": torch.zeros(4)}, 1)


@scenario(1)
def a_state_that_is_not_flattened(store, rank):
    state = {"model": torch.ones(4), "n": 3}
    store.save(state, 1, planner=DefaultSavePlanner(flatten_state_dict=False))
    loaded = {"model": torch.zeros(4)}
    store.load(loaded, 1, planner=DefaultLoadPlanner(flatten_state_dict=False))
    assert loaded["model"].tolist() == [1] * 4


class Doubled(DefaultSavePlanner):
    def lookup_object(self, index):
        found = super().lookup_object(index)
        return found * 2 if torch.is_tensor(found) else found


class Negated(DefaultLoadPlanner):
    def commit_tensor(self, read_item, tensor):
        tensor.neg_()


@scenario(1)
def planners_that_change_values(store, rank):
    store.save({"a": torch.ones(3)}, 1, planner=Doubled())
    loaded = {"a": torch.zeros(3)}
    store.load(loaded, 1, planner=Negated())
    assert loaded["a"].tolist() == [-2] * 3


class Renamed(DefaultLoadPlanner):
    def set_up_planner(self, state_dict, metadata=None, is_coordinator=False):
        super().set_up_planner({f"old.{key}": value for key, value in state_dict.items()},
                               metadata, is_coordinator)


@scenario(1)
def a_planner_that_renames(store, rank):
    store.save({"old": {"a": torch.ones(3)}}, 1)
    loaded = {"a": torch.zeros(3)}
    store.load(loaded, 1, planner=Renamed(flatten_state_dict=False))
    assert loaded["a"].tolist() == [1] * 3


@scenario(1)
def names_of_all_kinds(store, rank):
    names = ["a//b", "/c", "d/", "..", "名前", "k:0", "<e>", "x" * 300, "f g", "h\"i", "j/chunk.1"]
    state = {name: torch.full((2,), float(place)) for place, name in enumerate(names)}
    state["0"], state["nested"] = torch.ones(1), {"a.b": torch.ones(2), 5: torch.ones(3)}
    store.save(state, 1)
    loaded = {name: torch.zeros(2) for name in names}
    loaded["0"], loaded["nested"] = torch.zeros(1), {"a.b": torch.zeros(2), 5: torch.zeros(3)}
    store.load(loaded, 1)
    for name in names:
        same(state[name], loaded[name])
    assert loaded["nested"][5].tolist() == [1] * 3 and loaded["0"].item() == 1


@scenario(1)
def async_saves_in_a_row(store, rank):
    state = {"w": torch.zeros(1000), "n": 0}
    for step in (1, 2, 3):
        state["w"].fill_(step)
        state["n"] = step
        future = store.async_save(state, step)
        future.result()
        loaded = {"w": torch.zeros(1000), "n": 0}
        store.load(loaded, step)
        assert loaded["n"] == step and loaded["w"].unique().tolist() == [step]


@scenario(1)
def an_async_save_of_stateful_objects(store, rank):
    model, optimizer = trained()
    future = store.async_save({"model": model, "optimizer": optimizer}, 1)
    truth = copy.deepcopy(model.state_dict())
    future.result()
    other, other_optimizer = trained(seed=9)
    store.load({"model": other, "optimizer": other_optimizer}, 1)
    same(dict(truth), dict(other.state_dict()))


@scenario(1)
def shared_parameters(store, rank):
    model = Net()
    model.second.weight = model.first.weight
    store.save({"model": model}, 1)
    other = Net()
    other.second.weight = other.first.weight
    store.load({"model": other}, 1)
    same(dict(model.state_dict()), dict(other.state_dict()))


# ---- several ranks ----


@scenario(2)
def rows_and_columns(store, rank):
    for dimension in (0, 1):
        state = {"w": distribute_tensor(data(1, 7, 5), mesh(), [Shard(dimension)])}
        store.save(state, 1 + dimension)
        for other in ([Shard(0)], [Shard(1)], [Replicate()]):
            loaded = {"w": distribute_tensor(torch.zeros(7, 5), mesh(), other)}
            store.load(loaded, 1 + dimension)
            assert torch.equal(loaded["w"].full_tensor(), data(1, 7, 5))
        plain = {"w": torch.zeros(7, 5)}
        store.load(plain, 1 + dimension)
        assert torch.equal(plain["w"], data(1, 7, 5))


@scenario(2)
def fewer_rows_than_ranks(store, rank):
    state = {"w": distribute_tensor(data(1, 1, 5), mesh(), [Shard(0)]),
             "none": distribute_tensor(torch.zeros(0, 4), mesh(), [Shard(0)])}
    store.save(state, 1)
    loaded = {"w": distribute_tensor(torch.zeros(1, 5), mesh(), [Shard(0)]),
              "none": distribute_tensor(torch.zeros(0, 4), mesh(), [Shard(0)])}
    store.load(loaded, 1)
    assert torch.equal(loaded["w"].full_tensor(), data(1, 1, 5))


@scenario(2)
def what_is_replicated_is_saved_once(store, rank):
    state = {"a": data(1, 9), "b": data(2, 5), "n": 4,
             "r": distribute_tensor(data(3, 4, 4), mesh(), [Replicate()])}
    for lowest in (False, True):
        store.save(state, 1 + lowest, planner=DefaultSavePlanner(dedup_save_to_lowest_rank=lowest))
        loaded = {"a": torch.zeros(9), "b": torch.zeros(5), "n": 0,
                  "r": distribute_tensor(torch.zeros(4, 4), mesh(), [Replicate()])}
        store.load(loaded, 1 + lowest)
        same(state, loaded)


@scenario(2)
def what_only_one_rank_has(store, rank):
    state = {"both": torch.ones(2), f"only{rank}": torch.full((3,), float(rank))}
    store.save(state, 1)
    loaded = {"only0": torch.ones(3), "only1": torch.zeros(3)}
    store.load(loaded, 1)
    assert loaded["only0"].tolist() == [0] * 3 and loaded["only1"].tolist() == [1] * 3


@scenario(2)
def cached_plans(store, rank):
    for step in (1, 2, 3, 4):
        state = {"w": distribute_tensor(torch.full((4, 2), float(step)), mesh(), [Shard(0)]),
                 "big": torch.full((9,), float(step))}
        if step > 2:
            state["new"] = torch.full((4,), float(step))
        planner = DefaultSavePlanner(enable_plan_caching=True)
        planner._cached_plans_key += type(store).__name__  # a cache of the class
        store.save(state, step, planner=planner)
        loaded = {name: distribute_tensor(torch.zeros(4, 2), mesh(), [Shard(0)])
                  if name == "w" else torch.zeros_like(value) for name, value in state.items()}
        store.load(loaded, step)
        same(state, loaded)


@scenario(2)
def without_collectives(store, rank):
    state = {"w": distribute_tensor(data(1, 6, 4), mesh(), [Shard(0)]), "n": 4}
    store.save(state, 1, use_collectives=False)
    distributed.barrier()
    loaded = {"w": distribute_tensor(torch.zeros(6, 4), mesh(), [Shard(0)])}
    store.load(loaded, 1)
    same(state["w"], loaded["w"])


@scenario(2)
def fsdp_with_its_optimizer(store, rank):
    wrap = functools.partial(_sharded, shape=mesh())
    model, optimizer = trained(wrap=wrap)
    states = get_state_dict(model, optimizer)
    store.save({"model": states[0], "optimizer": states[1]}, 1)
    other, other_optimizer = trained(seed=9, wrap=wrap)
    loaded = dict(zip(("model", "optimizer"), get_state_dict(other, other_optimizer)))
    store.load(loaded, 1)
    set_state_dict(other, other_optimizer, model_state_dict=loaded["model"],
                   optim_state_dict=loaded["optimizer"])
    same(dict(get_model_state_dict(model)), dict(get_model_state_dict(other)))
    for a, b in zip(optimizer.state.values(), other_optimizer.state.values()):
        same(a, b)


def _sharded(model, shape):
    fully_shard(model.first, mesh=shape)
    fully_shard(model.second, mesh=shape)
    return fully_shard(model, mesh=shape)


@scenario(2)
def fsdp_into_one_and_back(store, rank):
    model, optimizer = trained(wrap=functools.partial(_sharded, shape=mesh()))
    whole = StateDictOptions(full_state_dict=True)
    truth = get_model_state_dict(model, options=whole)
    distributed.barrier()
    store.save({"model": get_model_state_dict(model)}, 1)
    plain = Net()
    store.load({"model": plain}, 1)
    same(dict(get_model_state_dict(model, options=whole)), dict(plain.state_dict()))
    store.save({"model": plain.state_dict()}, 2)
    other, _ = trained(seed=9, wrap=functools.partial(_sharded, shape=mesh()))
    loaded = {"model": get_model_state_dict(other)}
    store.load(loaded, 2)
    set_model_state_dict(other, loaded["model"])
    same(dict(get_model_state_dict(other, options=whole)), dict(truth))


@scenario(2)
def flattened_optimizer_state(store, rank):
    options = StateDictOptions(flatten_optimizer_state_dict=True)
    model, optimizer = trained(wrap=functools.partial(_sharded, shape=mesh()))
    store.save(get_optimizer_state_dict(model, optimizer, options=options), 1)
    other, other_optimizer = trained(seed=9, wrap=functools.partial(_sharded, shape=mesh()))
    loaded = get_optimizer_state_dict(other, other_optimizer, options=options)
    store.load(loaded, 1)
    set_optimizer_state_dict(other, other_optimizer, optim_state_dict=loaded, options=options)
    for a, b in zip(optimizer.state.values(), other_optimizer.state.values()):
        same(a, b)


@scenario(2)
def ddp_and_without_it(store, rank):
    model, _ = trained(wrap=nn.parallel.DistributedDataParallel)
    store.save({"model": get_model_state_dict(model)}, 1)
    plain = Net()
    loaded = {"model": get_model_state_dict(plain)}
    store.load(loaded, 1)
    set_model_state_dict(plain, loaded["model"])
    same(dict(model.module.state_dict()), dict(plain.state_dict()))


@scenario(2)
def a_failure_of_one_rank_is_everybodys(store, rank):
    class Bad(DefaultSavePlanner):
        def create_local_plan(self):
            if rank == 1:
                raise ValueError("rank 1 has no plan")
            return super().create_local_plan()

    with pytest.raises(BaseException, match="rank 1 has no plan"):
        store.save({"a": torch.ones(2)}, 1, planner=Bad())
    store.save({"a": torch.ones(2)}, 2)
    loaded = {"a": torch.zeros(2)}
    store.load(loaded, 2)
    assert loaded["a"].tolist() == [1, 1]


@scenario(2)
def async_with_shards(store, rank):
    state = {"w": distribute_tensor(data(1, 6, 4), mesh(), [Shard(0)]), "n": 4}
    future = store.async_save(state, 1)
    future.result()
    distributed.barrier()
    loaded = {"w": distribute_tensor(torch.zeros(6, 4), mesh(), [Shard(1)]), "n": 0}
    store.load(loaded, 1)
    assert torch.equal(loaded["w"].full_tensor(), data(1, 6, 4)) and loaded["n"] == 4


@scenario(4)
def two_dimensions(store, rank):
    grid = mesh(shape=(2, 2), names=("a", "b"))
    state = {"w": distribute_tensor(data(1, 7, 5), grid, [Shard(0), Shard(1)]),
             "half": distribute_tensor(data(2, 6), grid, [Replicate(), Shard(0)])}
    store.save(state, 1)
    for first, second in ([Shard(1), Shard(0)], [Replicate(), Shard(0)], [Shard(0), Shard(0)]):
        loaded = {"w": distribute_tensor(torch.zeros(7, 5), grid, [first, second]),
                  "half": distribute_tensor(torch.zeros(6), grid, [Shard(0), Replicate()])}
        store.load(loaded, 1)
        assert torch.equal(loaded["w"].full_tensor(), data(1, 7, 5))
        assert torch.equal(loaded["half"].full_tensor(), data(2, 6))


@scenario(4)
def hybrid_sharding(store, rank):
    grid = mesh(shape=(2, 2), names=("replicate", "shard"))
    wrap = functools.partial(_sharded, shape=grid)
    model, optimizer = trained(wrap=wrap)
    states = get_state_dict(model, optimizer)
    store.save({"model": states[0], "optimizer": states[1]}, 1)
    other, other_optimizer = trained(seed=9, wrap=wrap)
    loaded = dict(zip(("model", "optimizer"), get_state_dict(other, other_optimizer)))
    store.load(loaded, 1)
    set_state_dict(other, other_optimizer, model_state_dict=loaded["model"],
                   optim_state_dict=loaded["optimizer"])
    same(dict(get_model_state_dict(model)), dict(get_model_state_dict(other)))


@scenario(4)
def a_mesh_of_some_of_the_ranks(store, rank):
    half = init_device_mesh("cpu", (2, 2), mesh_dim_names=("group", "inside"))["inside"]
    name = f"group{rank // 2}"
    state = {name: distribute_tensor(data(rank // 2, 6, 3), half, [Shard(0)])}
    store.save(state, 1)
    loaded = {name: distribute_tensor(torch.zeros(6, 3), half, [Shard(1)])}
    store.load(loaded, 1)
    assert torch.equal(loaded[name].full_tensor(), data(rank // 2, 6, 3))


def run_scenario(rank, world, say, name, kind, run, sockets, folder):
    function = SCENARIOS[name][1]
    if kind == "torch":
        function(Torch(folder), rank)
        return
    with ckptd.Context(run, rank=rank, world=world, socket=sockets[rank % len(sockets)]) as context:
        store = Ours(context)
        function(store, rank)
        store.writer.close()


@pytest.mark.parametrize("kind", ["torch", "ckptd"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(shared_cluster, run, name, kind):
    with tempfile.TemporaryDirectory() as folder:
        ranks.run(SCENARIOS[name][0], run_scenario, name=name, kind=kind, run=run, folder=folder,
                  sockets=[agent.socket for agent in shared_cluster.agents])
