# SPDX-License-Identifier: Apache-2.0
"""Lightning, Hugging Face and nvidia-resiliency-ext: the real packages, on real daemons."""

import fractions
import json
import os
import pickle
import random

import pytest
import torch

import ckptd

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def data(count=48):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, 6, generator=generator)


# ---- Lightning ----


def lightning_parts():
    lightning = pytest.importorskip("lightning.pytorch")

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = torch.nn.Linear(6, 6)

        def training_step(self, batch, index):
            return (self.layer(batch) - batch).square().mean()

        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2)]

    return lightning, Model


def lightning_fit(plugin, folder, epochs, resume=None):
    lightning, model_class = lightning_parts()
    model = model_class()
    every = lightning.callbacks.ModelCheckpoint(dirpath=folder, filename="at-{step}",
                                                every_n_train_steps=4, save_top_k=-1,
                                                save_last=True)
    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", logger=False, plugins=plugin,
                                callbacks=[every], enable_progress_bar=False,
                                enable_model_summary=False)
    trainer.fit(model, torch.utils.data.DataLoader(data(), batch_size=6), ckpt_path=resume)
    return model, trainer


def test_lightning_resumes_from_memory(shared_cluster, run, tmp_path):
    from ckptd.lightning import CheckpointIO

    class Killed(CheckpointIO):
        """Of a process that has no time to tidy up."""

        def teardown(self):
            pass

    sockets = [agent.socket for agent in shared_cluster.agents]
    truth, _ = lightning_fit(None, tmp_path / "truth", 4)

    first = Killed(run, socket=sockets[0])
    lightning_fit(first, tmp_path / "a", 2)
    saved = tmp_path / "a" / "last.ckpt"
    mark = json.loads(saved.read_text())["ckptd"]
    assert mark["run"] == run and mark["step"] == mark["global_step"] == 16
    watch = ckptd.Context(run, socket=sockets[1], reader=True)
    wait_for(watch, 16)

    second = CheckpointIO(run, socket=sockets[1], attempt=2)  # another node
    model, trainer = lightning_fit(second, tmp_path / "b", 4, resume=str(saved))
    assert trainer.global_step == 32
    assert torch.equal(model.layer.weight, truth.layer.weight)
    watch.close()
    first.teardown = lambda: None


def wait_for(context, step):
    import time

    for _ in range(400):
        try:
            context.info(step)
            return
        except ckptd.Error:
            time.sleep(0.05)
    context.info(step)


def test_lightning_without_an_agent_writes_files(tmp_path):
    from ckptd.lightning import CheckpointIO

    plugin = CheckpointIO("nobody", socket=str(tmp_path / "nobody.sock"))
    lightning_fit(plugin, tmp_path / "a", 1)
    loaded = plugin.load_checkpoint(tmp_path / "a" / "last.ckpt", weights_only=True)
    assert loaded["global_step"] == 8
    plugin.remove_checkpoint(tmp_path / "a" / "last.ckpt")
    assert not (tmp_path / "a" / "last.ckpt").exists()


def test_lightning_refuses_what_is_no_data(shared_cluster, run, tmp_path):
    pytest.importorskip("lightning")
    from ckptd.lightning import CheckpointIO

    plugin = CheckpointIO(run, socket=shared_cluster.agents[0].socket)
    with pytest.raises(ckptd.StateError, match="state/hyper"):
        plugin.save_checkpoint({"global_step": 1, "hyper": object()}, tmp_path / "x.ckpt")
    plugin.teardown()


# ---- Hugging Face ----


class Rows(torch.utils.data.Dataset):
    def __init__(self):
        self.rows = data(40)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return {"x": self.rows[index], "labels": self.rows[index]}


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(6, 6)
        self.drop = torch.nn.Dropout(0.2)  # needs the random numbers to go on

    def forward(self, x, labels=None):
        y = self.layer(self.drop(x))
        return {"loss": (y - labels).square().mean(), "logits": y}


def huggingface_train(folder, callbacks, steps, resume=None, stop=None):
    transformers = pytest.importorskip("transformers")

    class Stop(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == stop:
                control.should_training_stop = True

    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=4, report_to=[],
        save_strategy="no", logging_steps=1000, use_cpu=True, seed=5, disable_tqdm=True)
    model = Small()
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=Rows(),
                                   callbacks=[*callbacks, Stop()])
    trainer.train(resume_from_checkpoint=resume)
    return model, trainer


def test_huggingface_resumes_in_its_own_way(shared_cluster, run, tmp_path):
    pytest.importorskip("transformers")
    from ckptd.huggingface import Callback

    sockets = [agent.socket for agent in shared_cluster.agents]
    truth, _ = huggingface_train(tmp_path / "t", [], 24)
    first = Callback(run, every=5, rank=0, world=1, attempt=1, socket=sockets[0])
    assert first.restore(str(tmp_path / "none")) is None
    huggingface_train(tmp_path / "a", [first], 24, stop=17)
    first.wait(20)
    first.close()
    random.seed(1234)
    torch.manual_seed(999)
    second = Callback(run, every=5, rank=0, world=1, attempt=2, socket=sockets[2])
    folder = second.restore(str(tmp_path / "resume"))
    assert os.path.basename(folder) == "checkpoint-15"
    model, trainer = huggingface_train(tmp_path / "b", [second], 24, resume=folder)
    second.wait(20)
    second.close()
    assert trainer.state.global_step == 24
    assert torch.equal(model.layer.weight, truth.layer.weight)


def test_huggingface_without_an_agent_goes_on(tmp_path, caplog):
    pytest.importorskip("transformers")
    from ckptd.huggingface import Callback

    callback = Callback("nobody", every=2, rank=0, world=1,
                        socket=str(tmp_path / "nobody.sock"))
    _, trainer = huggingface_train(tmp_path / "a", [callback], 4)
    assert trainer.state.global_step == 4


# ---- Megatron, by the interface of nvidia-resiliency-ext ----


def test_megatron_has_the_members_that_are_called(shared_cluster, run):
    """Of the real manager, where it is installed; else of its interface as it was recorded."""
    try:
        from nvidia_resiliency_ext.checkpointing.local.ckpt_managers.base_manager import (
            BaseCheckpointManager,
        )
        import inspect

        wanted = {name: list(inspect.signature(getattr(BaseCheckpointManager, name)).parameters)
                  for name in ("save", "find_latest", "load")}
    except ImportError:
        wanted = {"save": ["self", "state_dict", "iteration", "is_async"],
                  "find_latest": ["self"], "load": ["self"]}
    import inspect

    from ckptd.megatron import LocalCheckpointManager

    for name, parameters in wanted.items():
        ours = list(inspect.signature(getattr(LocalCheckpointManager, name)).parameters)
        assert ours[: len(parameters)] == parameters
    assert isinstance(LocalCheckpointManager.local_ckpt_dir, property)


def test_megatron_saves_and_loads(shared_cluster, run):
    from ckptd.megatron import LocalCheckpointManager, PlainState

    socket = shared_cluster.agents[0].socket
    manager = LocalCheckpointManager(run, rank=0, world=1, attempt=1, socket=socket)
    assert manager.find_latest() == -1
    state = {"model": {"w": data()}, "args": {"lr": 0.1, "names": ["a", "b"]}, "iteration": 7}
    assert manager.save(PlainState(state), 7) is None
    assert manager.find_latest() == 7
    request = manager.save(PlainState({**state, "iteration": 8}), 8, is_async=True)
    request.add_finalize_fn(lambda: None) if hasattr(request, "add_finalize_fn") else None
    assert request.async_fn is None
    for function in request.finalize_fns:
        function()
    manager.close()
    again = LocalCheckpointManager(run, rank=0, world=1, attempt=2, socket=socket)
    loaded, (iteration, rank, name) = again.load()
    assert (iteration, rank, name) == (8, 0, run) and not loaded.is_hollow
    assert torch.equal(loaded.state_dict["model"]["w"], data())
    assert loaded.state_dict["args"] == state["args"]
    tensors = loaded.pop_tensors()
    assert loaded.is_hollow and len(tensors) == 1
    loaded.insert_tensors(tensors)
    assert torch.equal(loaded.tensors[0], data())
    again.close()


def test_megatron_with_bytes_of_the_callers(shared_cluster, run):
    """A rest that is no plain data: the caller says how it becomes bytes, and trusts it."""
    from ckptd.megatron import LocalCheckpointManager, PlainState

    socket = shared_cluster.agents[1].socket
    state = PlainState({"w": data(), "kind": fractions.Fraction(1, 2)})
    plain = LocalCheckpointManager(run, rank=0, world=1, attempt=1, socket=socket)
    with pytest.raises(ckptd.StateError, match="Fraction"):
        plain.save(state, 1)
    plain.close()
    manager = LocalCheckpointManager(run, rank=0, world=1, attempt=2, socket=socket,
                                     dump=pickle.dumps, restore=pickle.loads)
    manager.save(state, 2)
    assert torch.equal(state.state_dict["w"], data())
    loaded, _ = manager.load()
    assert loaded.state_dict["kind"] == fractions.Fraction(1, 2)
    assert torch.equal(loaded.state_dict["w"], data())
    manager.close()


def test_megatron_refuses_another_world(shared_cluster, run):
    """Where the real one would hang in a collective."""
    from ckptd.megatron import LocalCheckpointManager, PlainState

    socket = shared_cluster.agents[0].socket
    manager = LocalCheckpointManager(run, rank=0, world=1, attempt=1, socket=socket)
    manager.save(PlainState({"w": data()}), 1)
    manager.close()
    import threading

    errors = []

    def load(rank):
        one = LocalCheckpointManager(run, rank=rank, world=2, attempt=2, timeout=20,
                                     socket=shared_cluster.agents[rank].socket)
        try:
            one.load()
        except ckptd.Error as error:
            errors.append(error)
        one.close()

    threads = [threading.Thread(target=load, args=(rank,)) for rank in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert [type(error) for error in errors] == [ckptd.WorldChanged] * 2
