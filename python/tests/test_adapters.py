# SPDX-License-Identifier: Apache-2.0
"""The table of docs/python.md for Lightning's, Hugging Face's and Megatron's adapters: each kind of
state comes back as what it was, or is refused by name."""

import os
import pickle
import types

import pytest
import torch
from test_states import REFUSED_TENSORS, REFUSED_VALUES, TENSORS, VALUES, same

import ckptd

KINDS = {**TENSORS, **VALUES}
REFUSED = {**REFUSED_TENSORS, **REFUSED_VALUES}


@pytest.fixture(scope="module")
def lightning(shared_cluster, tmp_path_factory):
    pytest.importorskip("lightning.pytorch")
    from ckptd.lightning import CheckpointIO

    io = CheckpointIO("table/lightning", socket=shared_cluster.agents[0].socket, files=False)
    path, steps = str(tmp_path_factory.mktemp("lightning") / "x.ckpt"), iter(range(1, 1000))

    def there_and_back(value):
        io.save_checkpoint({"global_step": next(steps), "x": value}, path)
        io.wait(30)
        return io.load_checkpoint(path)["x"]

    yield there_and_back
    io.teardown()


@pytest.fixture(scope="module")
def huggingface(shared_cluster, tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    from ckptd.huggingface import Callback

    callback = Callback("table/huggingface", every=1, attempt=1, rank=0, world=1,
                        socket=shared_cluster.agents[0].socket)
    folder, state = str(tmp_path_factory.mktemp("huggingface")), transformers.TrainerState()
    model, plain = torch.nn.Linear(2, 2), types.SimpleNamespace(state_dict=dict)

    def there_and_back(value):
        """As a part of an optimizer's state."""
        state.global_step += 1
        callback.on_step_end(None, state, transformers.TrainerControl())
        refused = len(told)
        callback._save(state, model=model, lr_scheduler=plain, optimizer=types.SimpleNamespace(
            state_dict=lambda: {"x": value}))
        if len(told) > refused:
            raise told[-1]
        callback.wait(30)
        found = callback.restore(folder)
        return torch.load(os.path.join(found, "optimizer.pt"), weights_only=False)["x"]

    told = []
    import ckptd.huggingface as module

    real = module.save_state

    def save_state(*arguments):
        try:
            real(*arguments)
        except ckptd.Error as error:
            told.append(error)
            raise

    module.save_state = save_state
    yield there_and_back
    module.save_state = real
    callback.close()


@pytest.fixture(scope="module")
def megatron(shared_cluster):
    from ckptd.megatron import LocalCheckpointManager, PlainState

    manager = LocalCheckpointManager("table/megatron", rank=0, world=1, attempt=1,
                                     socket=shared_cluster.agents[0].socket)
    steps = iter(range(1, 1000))

    def there_and_back(value):
        manager.save(PlainState({"x": value}), next(steps))
        return manager.load()[0].state_dict["x"]

    yield there_and_back
    manager.close()


@pytest.mark.parametrize("kind", KINDS)
def test_lightning(lightning, kind):
    same(KINDS[kind](), lightning(KINDS[kind]()))


@pytest.mark.parametrize("kind", REFUSED)
def test_lightning_refuses_by_name(lightning, kind):
    with pytest.raises(ckptd.StateError, match="state/x"):
        lightning(REFUSED[kind]())


@pytest.mark.parametrize("kind", KINDS)
def test_huggingface(huggingface, kind):
    same(KINDS[kind](), huggingface(KINDS[kind]()))


@pytest.mark.parametrize("kind", REFUSED)
def test_huggingface_refuses_by_name(huggingface, kind):
    with pytest.raises(ckptd.StateError, match="state/optimizer/x"):
        huggingface(REFUSED[kind]())


@pytest.mark.parametrize("kind", KINDS)
def test_megatron(megatron, kind):
    same(KINDS[kind](), megatron(KINDS[kind]()))


@pytest.mark.parametrize("kind", REFUSED)
def test_megatron_refuses_by_name(megatron, kind):
    with pytest.raises(ckptd.StateError, match="state/state/x"):
        megatron(REFUSED[kind]())


def test_huggingface_writes_models_that_safetensors_has_no_type_for(shared_cluster, run, tmp_path):
    pytest.importorskip("transformers")
    import transformers

    from ckptd.huggingface import Callback

    model, plain = torch.nn.Linear(2, 2), types.SimpleNamespace(state_dict=dict)
    model.register_buffer("twist", torch.tensor([1 + 2j], dtype=torch.complex128))
    model.register_buffer("view", torch.arange(6.0).reshape(2, 3).t())
    callback = Callback(run, every=1, attempt=1, rank=0, world=1,
                        socket=shared_cluster.agents[0].socket)
    state = transformers.TrainerState(global_step=1)
    callback.on_step_end(None, state, transformers.TrainerControl())
    callback._save(state, model=model, lr_scheduler=plain, optimizer=plain)
    callback.wait(30)
    folder = callback.restore(str(tmp_path))
    callback.close()
    found = torch.load(os.path.join(folder, "pytorch_model.bin"), weights_only=True)
    assert torch.equal(found["twist"], model.twist) and torch.equal(found["view"], model.view)


def test_megatrons_containers_with_tensors_taken_out(megatron):
    """pop_tensors() and insert_tensors() keep what the containers are."""
    import collections

    from ckptd.megatron import PlainState

    pair = collections.namedtuple("pair", "a b")
    state = PlainState({"p": pair(torch.ones(2), 3), "o": collections.OrderedDict(w=torch.ones(1)),
                        "l": [torch.zeros(2)]})
    tensors = state.pop_tensors()
    assert len(tensors) == 3 and state.is_hollow
    state.insert_tensors(tensors)
    assert type(state.state_dict["p"]) is pair and state.state_dict["p"].a is tensors[0]
    assert type(state.state_dict["o"]) is collections.OrderedDict


def test_megatron_cores_own_state_dict(shared_cluster, run, tmp_path):
    """MCoreTensorAwareStateDict, as Megatron-LM hands it over, where megatron-core is installed."""
    pytest.importorskip("megatron.core")
    import torch.distributed as distributed
    from megatron.core.dist_checkpointing import ShardedTensor
    from megatron.core.dist_checkpointing.tensor_aware_state_dict import MCoreTensorAwareStateDict

    from ckptd.megatron import LocalCheckpointManager

    def state(weight, more):
        return {"model": {"w": ShardedTensor.from_rank_offsets("w", weight)}, **more}

    weight = torch.arange(12.0).reshape(3, 4)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0,
                                   world_size=1)
    try:
        aware, _ = MCoreTensorAwareStateDict.from_state_dict(
            state(weight, {"args": {"lr": 0.1}, "iteration": 5}), algo="atomic")
        with_pickle = {"dump": pickle.dumps, "restore": pickle.loads}
        manager = LocalCheckpointManager(run, rank=0, world=1, attempt=1, **with_pickle,
                                         socket=shared_cluster.agents[0].socket)
        manager.save(aware, 5)
        manager.close()
        again = LocalCheckpointManager(run, rank=0, world=1, attempt=2, **with_pickle,
                                       socket=shared_cluster.agents[1].socket)
        loaded, (iteration, _, _) = again.load()
        found = loaded.to_state_dict(state(torch.zeros(3, 4), {"args": {}, "iteration": 0}),
                                     algo="atomic")
        again.close()
    finally:
        distributed.destroy_process_group()
    assert iteration == found["iteration"] == 5 and found["args"] == {"lr": 0.1}
    assert torch.equal(found["model"]["w"], weight)
