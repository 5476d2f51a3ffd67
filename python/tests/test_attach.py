# SPDX-License-Identifier: Apache-2.0
"""attach, save, resume: one process a rank, as a user writes it."""

import json
import logging
import pickle
import threading
import time

import pytest
import torch

import ckptd
from ckptd import checkpointer, plain, registered

SIZE = 24


def make(seed=0, kind=torch.optim.AdamW, **options):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(SIZE, SIZE), torch.nn.BatchNorm1d(SIZE),
                                torch.nn.ReLU(), torch.nn.Linear(SIZE, 3))
    return model, kind(model.parameters(), lr=0.01, **options)


def train(model, optimizer, steps=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        batch = torch.randn(16, SIZE, generator=generator)
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()


def same(a, b):
    """Whether two state_dicts are equal bit for bit."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("kind, options", [
    (torch.optim.AdamW, {}), (torch.optim.SGD, {"momentum": 0.9}), (torch.optim.Adagrad, {}),
    (torch.optim.AdamW, {"amsgrad": True, "weight_decay": 0.1}), (torch.optim.RMSprop, {}),
])
def test_a_run_goes_on_where_it_was(attach, kind, options):
    model, optimizer = make(kind=kind, **options)
    with attach(model, optimizer) as checkpoint:
        assert checkpoint.resumed is None and checkpoint.next_step == 0
        train(model, optimizer, 3)
        handle = checkpoint.save(3)
        assert handle.staged() and handle.consistent(20)
    train(model, optimizer, 2, seed=2)

    other, its = make(seed=9, kind=kind, **options)
    resumed = attach(other, its, attempt=2)
    assert resumed.next_step == 3
    train(other, its, 2, seed=2)
    assert same(model.state_dict(), other.state_dict())
    assert same(optimizer.state_dict()["state"], its.state_dict()["state"])


def test_extra_state_of_every_kind(attach):
    model, optimizer = make()
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    extra = {"epoch": 3, "name": "zürich", "rate": 0.1, "none": None, "flags": [True, False],
             "pair": (1, "b"), "bytes": b"\x00\xff", "by_number": {1: "one"}, "huge": 2**80,
             "infinite": float("inf"), "nested": {"rng": torch.get_rng_state()},
             "schedule": schedule}
    for _ in range(3):
        train(model, optimizer)
        schedule.step()
    with attach(model, optimizer, extra) as checkpoint:
        checkpoint.save(1).consistent(20)
    other, its = make(seed=4)
    schedule2 = torch.optim.lr_scheduler.StepLR(its, 2)
    found = {"schedule": schedule2, "nested": {}}
    attach(other, its, found, attempt=2)
    assert schedule2.state_dict() == schedule.state_dict()
    assert its.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    assert found["schedule"] is schedule2
    found.pop("schedule"), extra.pop("schedule")
    assert same(found, extra) and isinstance(found["pair"], tuple)


def test_what_is_saved_is_what_was_there(attach):
    """pytorch#144657: an asynchronous save had values of a later step."""
    model, optimizer = make()
    checkpoint = attach(model, optimizer)
    train(model, optimizer)
    for step in range(1, 9):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(step)
        handle = checkpoint.save(step)
        with torch.no_grad():  # at once, and not one moment later
            for parameter in model.parameters():
                parameter.fill_(-1)
        handle.consistent(20)
        with checkpoint.context_or_raise().fetch(0, step) as shard:
            for name in dict(model.named_parameters()):
                values = torch.frombuffer(bytearray(shard.data(name)), dtype=torch.float32)
                assert bool((values == step).all()), (name, step, values[:4])


def test_no_step_is_torn(attach):
    """nvidia-resiliency-ext#376: half of a checkpoint was of another step. A thread changes all
    tensors, step by step, between saves; each shard has values of one step only."""
    parts = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(200_000)) for _ in range(8)])
    checkpoint = attach(parts)
    with torch.no_grad():
        for step in range(1, 13):
            for part in parts:
                part.fill_(step)
            handle = checkpoint.save(step)
            for part in parts:
                part.fill_(step + 0.5)
            if step % 4 == 0:
                handle.consistent(20)
                with checkpoint.context_or_raise().fetch(0, step) as shard:
                    for index in range(8):
                        values = torch.frombuffer(bytearray(shard.data(str(index))),
                                                  dtype=torch.float32)
                        assert values.min() == values.max() == step


def test_what_moves_is_registered_anew(attach, monkeypatch):
    counted = []
    register = registered.Registered.register
    monkeypatch.setattr(registered.Registered, "register",
                        lambda self, lazy=False: (counted.append(1), register(self, lazy))[1])
    model, optimizer = make()
    checkpoint = attach(model, optimizer)
    train(model, optimizer)
    checkpoint.save(1).consistent(20)
    before = len(counted)
    for step in range(2, 5):
        train(model, optimizer)
        checkpoint.save(step).consistent(20)
    assert len(counted) == before  # nothing moved
    model[0].weight.data = model[0].weight.data.clone() + 1
    checkpoint.save(5).consistent(20)
    assert len(counted) == before + 1
    model.register_buffer("more", torch.full((5,), 7.0))
    checkpoint.save(6).consistent(20)
    with checkpoint.context_or_raise().fetch(0, 5) as shard:
        assert bytes(shard.data("0.weight")) == model[0].weight.detach().numpy().tobytes()
    with checkpoint.context_or_raise().fetch(0, 6) as shard:
        assert bytes(shard.data("more")) == torch.full((5,), 7.0).numpy().tobytes()


def test_tensors_of_every_type_and_shape(attach):
    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for index, dtype in enumerate(registered_types()):
                data = torch.arange(12).reshape(3, 4).to(torch.float32).to(dtype)
                self.register_buffer(f"b{index}", data)
            self.register_buffer("scalar", torch.tensor(5))
            self.register_buffer("nothing", torch.zeros(0, 3))
            self.register_buffer("transposed", torch.arange(12.0).reshape(3, 4).t())
            self.register_buffer("temporary", torch.ones(3), persistent=False)
            self.tied = torch.nn.Linear(3, 3, bias=False)
            self.also = self.tied

    model = Odd()
    with attach(model) as checkpoint:
        checkpoint.save(1).consistent(20)
        with checkpoint.context_or_raise().fetch(0) as shard:
            assert "temporary" not in shard.entries
            assert sum("weight" in name for name in shard.entries) == 1
    other = Odd()
    for buffer in other.buffers():
        buffer.copy_(torch.zeros_like(buffer))
    attach(other, attempt=2)
    for (name, a), b in zip(model.named_buffers(), other.buffers()):
        if name != "temporary":
            assert a.dtype == b.dtype and torch.equal(a.view(torch.uint8) if a.dim() and
                                                      a.is_contiguous() else a,
                                                      b.view(torch.uint8) if b.dim() and
                                                      b.is_contiguous() else b), name
    assert torch.equal(other.tied.weight, model.tied.weight)


def registered_types():
    return list(ckptd.tensors.TYPES.values())


@pytest.mark.parametrize("spoil, word", [
    (lambda m, e: m.register_buffer("c", torch.zeros(3).expand(2, 3)), "c is expanded"),
    (lambda m, e: m.register_buffer("s", torch.eye(3).to_sparse()), "sparse"),
    (lambda m, e: m.register_buffer("m", torch.zeros(3, device="meta")), "meta"),
    (lambda m, e: e.update(thing=object()), "extra/thing is a builtins.object"),
    (lambda m, e: e.update(deep={"list": [threading.Lock()]}), "extra/deep/list/0"),
])
def test_a_state_that_is_not_saved_says_so_and_training_goes_on(attach, spoil, word):
    model, optimizer = make()
    extra = {}
    checkpoint = attach(model, optimizer, extra)
    checkpoint.save(1).consistent(20)
    spoil(model, extra)
    with pytest.raises(ckptd.StateError, match=word):
        checkpoint.save(2)
    with pytest.raises(ckptd.StateError, match=word):  # and at attach, where it is there then
        attach(model, optimizer, extra, attempt=2)
    train(model, optimizer)
    for name in ("c", "s", "m"):
        model._buffers.pop(name, None)
    extra.clear()
    assert checkpoint.save(3).consistent(20)


def test_without_strict_a_save_that_cannot_be_is_a_handle(attach):
    extra = {}
    checkpoint = attach(make()[0], None, extra, strict=False)
    extra["thing"] = object()
    handle = checkpoint.save(1)
    with pytest.raises(ckptd.StateError, match="extra/thing"):
        handle.staged()
    extra.clear()
    assert checkpoint.save(2).consistent(20)


@pytest.mark.parametrize("change, word", [
    (lambda: torch.nn.Linear(4, 5), r"weight was saved as torch.float32 \(4, 4\) and is "
     r"torch.float32 \(5, 4\) now"),
    (lambda: torch.nn.Linear(4, 3), r"\(4, 4\) and is torch.float32 \(3, 4\) now"),
    (lambda: torch.nn.Linear(4, 4).double(), "torch.float32 .* is torch.float64"),
    (lambda: torch.nn.Sequential(torch.nn.Linear(4, 4)), "lacks 0.weight"),
    (lambda: torch.nn.Linear(4, 4, bias=False), "it has bias, which the model has not"),
])
def test_a_changed_model_is_refused(attach, change, word):
    with attach(torch.nn.Linear(4, 4)) as checkpoint:
        checkpoint.save(1).consistent(20)
    model = change()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ckptd.UsageError, match="run .*, step 1: .*" + word):
        attach(model, attempt=2)
    assert same(before, model.state_dict())


def test_a_state_dict_that_raises_costs_one_save(attach):
    class Broken:
        def state_dict(self):
            raise KeyError("not now")

        def load_state_dict(self, state):
            raise AssertionError("nothing to load")

    extra = {"broken": Broken()}
    checkpoint = attach(make()[0], extra=extra)
    handle = checkpoint.save(1)
    assert handle.error.status == "CKPT_ERR_INTERNAL" and "not now" in handle.error.reason
    extra.clear()
    assert checkpoint.save(2).consistent(20)


def test_no_agent_never_stops_training(tmp_path, caplog):
    model, optimizer = make()
    socket = str(tmp_path / "later.sock")
    with pytest.raises(ckptd.NoAgent):
        ckptd.attach(model, optimizer, run="later", socket=socket)
    with caplog.at_level(logging.WARNING, "ckptd"):
        checkpoint = ckptd.attach(model, optimizer, run="later", socket=socket, required=False)
        for step in range(1, 6):
            train(model, optimizer)
            handle = checkpoint.save(step)
            assert isinstance(handle.error, ckptd.NoAgent)
            with pytest.raises(ckptd.NoAgent):
                handle.consistent(1)
    assert len(caplog.records) == 1  # one line, not one a save


def test_an_agent_that_dies_and_comes_back(start_cluster, run):
    cluster = start_cluster(agents=2)
    model, optimizer = make()
    agent = cluster.agents[0]
    with ckptd.attach(model, optimizer, run=run, socket=agent.socket) as checkpoint:
        checkpoint.save(1).consistent(20)
        agent.kill()
        train(model, optimizer)
        assert isinstance(checkpoint.save(2).error, ckptd.NoAgent)
        agent.start()
        cluster.wait_joined()
        assert checkpoint.save(3).consistent(30)


def test_a_malicious_pickle_is_not_loaded(shared_cluster, run, tmp_path, attach):
    """Pickled bytes in a shard stay bytes: in the state, and in a tensor of any name."""
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "was-here"), "w"))

    evil = pickle.dumps(Evil())
    model, optimizer = make()
    with attach(model, optimizer, {"blob": evil}) as checkpoint:
        model.register_buffer("pickle", torch.frombuffer(bytearray(evil), dtype=torch.uint8))
        checkpoint.save(1).consistent(20)
    found = {}
    attach(model, optimizer, found, attempt=2)
    assert found["blob"] == evil and not (tmp_path / "was-here").exists()
    for text in (b'{"$ckptd":"pickle","value":"x"}', b'{"$ckptd":"object","value":[]}'):
        with pytest.raises(ckptd.StateError, match="unknown kind"):
            plain.join(json.loads(text), lambda path: None)


def test_no_module_of_the_package_pickles():
    import ckptd as package
    import os
    import re

    folder = os.path.dirname(package.__file__)
    for name in os.listdir(folder):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                text = re.sub(r'"""(.|\n)*?"""|#.*', "", file.read())
            assert not re.search(r"\bpickle\.|import pickle|torch\.load\(", text), name


def test_persisted_files_are_what_was_saved(attach, tmp_path):
    model, optimizer = make()
    checkpoint = attach(model, optimizer, persist=str(tmp_path), persist_every=2)
    train(model, optimizer)
    first = checkpoint.save(1)
    with pytest.raises(ckptd.UsageError):
        first.persisted(1)
    assert checkpoint.save(2).persisted(30)
    files = list((tmp_path / "step-2").glob("*.safetensors"))
    assert [file.name for file in files] == ["shard-00001-model-00001-of-00001.safetensors"]
    from safetensors.torch import load_file

    loaded = load_file(files[0])
    assert same({k: loaded[k] for k in model.state_dict()}, dict(model.state_dict()))
    plain_one = attach(make()[0], attempt=2, resume=False)
    with pytest.raises(ckptd.Error, match="no agent that has one") as caught:
        plain_one.save(3).persisted(60)
    assert caught.value.status == "CKPT_ERR_UNSUPPORTED"


def test_persisted_without_a_directory_is_in_the_tier(start_cluster, run, tmp_path):
    cluster = start_cluster(agents=2, agent={"tier-path": str(tmp_path)},
                            coordinator={"tier-every": "10"})
    with ckptd.attach(*make(), run=run, socket=cluster.agents[0].socket) as checkpoint:
        first = checkpoint.save(1)
        assert first.persisted(30)
        second = checkpoint.save(2)
        assert [path.parent.name[:25] for path in tmp_path.glob("*/*/manifest.json")] == [
            f"step-{1:020d}"]
        with pytest.raises(ckptd.UsageError, match="passed over"):
            second.persisted(30)
        third = checkpoint.save(12)
        with pytest.raises(ckptd.Timeout):
            third.persisted(0)
        assert third.persisted(30) and third.persisted(0) and first.persisted(0)


def test_save_blocks_no_longer_than_its_bound(start_cluster, run):
    cluster = start_cluster(agents=2)
    model, optimizer = make()
    checkpoint = ckptd.attach(model, optimizer, run=run, socket=cluster.agents[0].socket,
                              timeout=0.3)
    cluster.agents[0].pause()
    begin = time.monotonic()
    handle = checkpoint.save(1)
    assert isinstance(handle.error, ckptd.NoAgent)
    assert time.monotonic() - begin < 10
    cluster.agents[0].resume()
    checkpoint.close()


def test_a_wrapper_that_hides_its_parts_is_refused(attach):
    class FullyShardedDataParallel(torch.nn.Linear):
        """Stands in for PyTorch's, which wants a device and other ranks."""

    with pytest.raises(ckptd.StateError, match="fully_shard"):
        attach(torch.nn.Sequential(FullyShardedDataParallel(2, 2)))


def test_settings_of_the_job(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS", "CKPT_RUN",
                 "SLURM_JOB_NAME", "SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "CKPT_ATTEMPT",
                 "SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    of_job = checkpointer.settings_of_job
    with pytest.raises(ckptd.UsageError, match="run="):
        of_job(None, None, None, None)
    assert of_job("run", None, None, None) == {"run": "run", "attempt": 0, "rank": 0, "world": 1}
    for name, value in {"SLURM_PROCID": "3", "SLURM_NTASKS": "8", "SLURM_JOB_NAME": "gpt",
                        "SLURM_CLUSTER_NAME": "big", "SLURM_JOB_ID": "77",
                        "SLURM_RESTART_COUNT": "2", "TORCHELASTIC_RESTART_COUNT": "4"}.items():
        monkeypatch.setenv(name, value)
    assert of_job(None, None, None, None) == {"run": "slurm/big/77", "attempt": 0, "rank": 3,
                                              "world": 8}
    monkeypatch.setenv("CKPT_ATTEMPT", "7")
    monkeypatch.setenv("CKPT_RUN", "mine")
    assert of_job(None, None, 0, 1) == {"run": "mine", "attempt": 7, "rank": 0, "world": 1}
