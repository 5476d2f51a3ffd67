# SPDX-License-Identifier: Apache-2.0
"""Lightning's checkpoints: content decides, not the step, and no mark outlives its bytes."""

import json
import os
import pathlib
import time

import pytest
import torch

import ckptd

lightning = pytest.importorskip("lightning.pytorch")

from ckptd.lightning import CheckpointIO, fingerprint  # noqa: E402  (needs Lightning)
from ckptd.lightning_marks import read_mark  # noqa: E402


@pytest.fixture
def start(shared_cluster, run):
    opened = []

    def start_(**settings):
        settings.setdefault("socket", shared_cluster.agents[0].socket)
        opened.append(CheckpointIO(settings.pop("run", run), timeout=20, **settings))
        return opened[-1]

    yield start_
    for io in opened:
        io.files = False  # as fast as it can
        io.teardown()


def checkpoint(step, value, **more):
    return {"global_step": step, "w": torch.full((2000,), float(value)), **more}


def value_of(io, path):
    return io.load_checkpoint(path, weights_only=True)["w"].unique().tolist()


def test_two_checkpoints_of_one_step(start, tmp_path):
    io = start()
    io.save_checkpoint(checkpoint(4, 1), tmp_path / "full.ckpt")
    io.save_checkpoint(checkpoint(4, 2), tmp_path / "average.ckpt")
    io.save_checkpoint({"global_step": 4, "w": torch.full((3,), 3.0)}, tmp_path / "weights.ckpt")
    io.wait()
    for name, value in (("full", 1), ("average", 2), ("weights", 3)):
        assert value_of(io, tmp_path / f"{name}.ckpt") == [value], name


def test_in_place_changes_are_content_too(start, tmp_path):
    """Past PyTorch's count of changes, as weights are swapped for their averages."""
    io, weight = start(), torch.full((2000,), 1.0)
    for step in (4, 8):
        io.save_checkpoint({"global_step": step, "w": weight}, tmp_path / f"a{step}.ckpt")
        weight.data.add_(1)
        io.save_checkpoint({"global_step": step, "w": weight}, tmp_path / f"b{step}.ckpt")
    io.wait()
    assert [value_of(io, tmp_path / f"{name}.ckpt") for name in ("a4", "b4", "a8", "b8")] == [
        [1], [2], [2], [3]]


def test_the_same_content_is_staged_once(start, tmp_path):
    io = start()
    for step in (4, 8, 12):
        io.save_checkpoint(checkpoint(step, step), tmp_path / f"at-{step}.ckpt")
        io.save_checkpoint(checkpoint(step, step), tmp_path / "last.ckpt")
    # The first time nobody knows that a second will be asked for.
    assert read_mark(tmp_path / "last.ckpt") == read_mark(tmp_path / "at-12.ckpt")
    io.wait()
    assert value_of(io, tmp_path / "last.ckpt") == [12]


def test_trainings_one_after_the_other(start, tmp_path):
    """k-fold: the steps begin again, in one run."""
    io = start()
    for fold in (1, 2):
        for step in (8, 12):
            io.save_checkpoint(checkpoint(step, 100 * fold + step), tmp_path / f"{fold}-{step}")
    io.wait()
    for fold in (1, 2):
        for step in (8, 12):
            assert value_of(io, tmp_path / f"{fold}-{step}") == [100 * fold + step]


def test_a_mark_becomes_a_file_before_its_bytes_are_retired(start, tmp_path):
    io = start()
    io.save_checkpoint(checkpoint(1, 1), tmp_path / "best.ckpt")
    for step in range(2, 7):
        io.save_checkpoint(checkpoint(step, step), tmp_path / f"{step}.ckpt")
        if step > 2:
            io.remove_checkpoint(tmp_path / f"{step - 1}.ckpt")
    io.wait()
    assert read_mark(tmp_path / "best.ckpt") is None  # keep = 2
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["w"].unique().tolist() == [1]
    assert sorted(os.listdir(tmp_path)) == ["2.ckpt", "6.ckpt", "best.ckpt"] or sorted(
        os.listdir(tmp_path)) == ["6.ckpt", "best.ckpt"]
    assert value_of(io, tmp_path / "6.ckpt") == [6] and read_mark(tmp_path / "6.ckpt")


def test_the_end_leaves_files(start, tmp_path):
    io = start()
    io.save_checkpoint(checkpoint(1, 1), tmp_path / "a.ckpt")
    io.save_checkpoint(checkpoint(2, 2), tmp_path / "last.ckpt")
    io.teardown()
    for name, value in (("a", 1), ("last", 2)):
        loaded = torch.load(tmp_path / f"{name}.ckpt", weights_only=True)
        assert loaded["w"].unique().tolist() == [value]
    assert sorted(os.listdir(tmp_path)) == ["a.ckpt", "last.ckpt"]
    # And it may go on.
    io.save_checkpoint(checkpoint(3, 3), tmp_path / "b.ckpt")
    io.wait()
    assert value_of(io, tmp_path / "b.ckpt") == [3]


def test_an_earlier_process_marks_are_answered_for(start, tmp_path):
    first = start()
    first.save_checkpoint(checkpoint(5, 5), tmp_path / "best.ckpt")
    first.wait()
    first._marks.end()  # killed: no time to write files
    first._marks = None
    second = start(attempt=2)
    for step in range(6, 10):
        second.save_checkpoint(checkpoint(step, step), tmp_path / "last.ckpt")
    second.wait()
    assert value_of(second, tmp_path / "best.ckpt") == [5]
    assert read_mark(tmp_path / "best.ckpt") is None


def test_a_mark_whose_bytes_are_gone_says_so(start, tmp_path):
    io = start(files=False)
    io.save_checkpoint(checkpoint(1, 1), tmp_path / "old.ckpt")
    io.wait()
    for step in (2, 3, 4):
        io.save_checkpoint(checkpoint(step, step), tmp_path / "last.ckpt")
        io.wait()
    with pytest.raises(ckptd.Lost, match=r"old.ckpt names step 1 of run .*not there any more"):
        io.load_checkpoint(tmp_path / "old.ckpt")
    # The same step of another checkpoint is not taken for it.
    mark = json.loads((tmp_path / "last.ckpt").read_text())
    mark["ckptd"]["id"] = "another"
    (tmp_path / "old.ckpt").write_text(json.dumps(mark))
    with pytest.raises(ckptd.Lost, match="another checkpoint has that step now"):
        io.load_checkpoint(tmp_path / "old.ckpt")


def test_a_disk_that_is_full_keeps_the_mark_and_its_bytes(start, tmp_path, caplog):
    io = start()

    def full(shard, path):
        raise OSError(28, "No space left on device")

    real, io._write = io._write, full
    io.save_checkpoint(checkpoint(1, 1), tmp_path / "best.ckpt")
    for step in range(2, 6):
        io.save_checkpoint(checkpoint(step, step), tmp_path / "last.ckpt")
    io.wait()
    deadline = time.monotonic() + 20
    while not any("No space left" in line for line in caplog.messages):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert sum("best.ckpt stays a mark" in line for line in caplog.messages) == 1
    assert value_of(io, tmp_path / "best.ckpt") == [1]  # on loan
    io._marks._write = real
    io.save_checkpoint(checkpoint(7, 7), tmp_path / "last.ckpt")
    io.save_checkpoint(checkpoint(8, 8), tmp_path / "last.ckpt")
    assert read_mark(tmp_path / "best.ckpt") is None and value_of(io, tmp_path / "best.ckpt") == [1]


def test_a_save_does_not_wait_long_for_copies_that_do_not_come(start_cluster, run, tmp_path,
                                                               monkeypatch, caplog):
    """One agent: there is nobody to hold the second copy."""
    monkeypatch.setattr("ckptd.lightning._PATIENCE", 0.3)
    cluster = start_cluster(agents=1)
    io = CheckpointIO(run, socket=cluster.agents[0].socket, timeout=2)
    began = time.monotonic()
    for step in (1, 2, 3):
        io.save_checkpoint(checkpoint(step, step), tmp_path / f"{step}.ckpt")
    assert time.monotonic() - began < 1.8
    assert any("held or written yet" in line for line in caplog.messages)
    io.files = False
    io.teardown()


def test_a_removed_mark_is_not_written_again(start, tmp_path):
    io = start()
    for step in range(1, 6):
        io.save_checkpoint(checkpoint(step, step), tmp_path / f"{step}.ckpt")
        if step > 1:
            io.remove_checkpoint(tmp_path / f"{step - 1}.ckpt")
    io._marks.settle(6, 20)
    assert os.listdir(tmp_path) == ["5.ckpt"]


def test_what_lightning_keeps_becomes_a_file_while_it_trains(start, tmp_path):
    """When nothing is saved for a while: a crash then loses only what is being written."""
    io = start()
    io.save_checkpoint(checkpoint(1, 1), tmp_path / "best.ckpt")
    io.save_checkpoint(checkpoint(2, 2), tmp_path / "last.ckpt")
    deadline = time.monotonic() + 20
    while read_mark(tmp_path / "best.ckpt") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert value_of(io, tmp_path / "best.ckpt") == [1]
    assert read_mark(tmp_path / "last.ckpt") is not None


def test_what_lightning_puts_into_a_checkpoint_stays_in_memory(start, tmp_path):
    """Absolute paths as keys, and paths among the hyper-parameters."""
    io = start()
    best = {str(tmp_path / "best.ckpt"): torch.tensor(0.5)}
    state = checkpoint(4, 1, callbacks={"ModelCheckpoint": {"best_k_models": best}},
                       hyper_parameters={"folder": pathlib.Path("/data/x"), "betas": (0.9, 0.99)})
    io.save_checkpoint(state, tmp_path / "a.ckpt")
    assert read_mark(tmp_path / "a.ckpt") is not None
    io.wait()
    loaded = io.load_checkpoint(tmp_path / "a.ckpt")
    assert loaded["callbacks"] == state["callbacks"]
    assert loaded["hyper_parameters"] == state["hyper_parameters"]


def test_remote_paths_are_the_wrapped_ones(start, monkeypatch):
    io, asked = start(), []
    monkeypatch.setattr(io._wraps, "save_checkpoint", lambda *arguments: asked.append(arguments[1]))
    io.save_checkpoint(checkpoint(1, 1), "memory://folder/a.ckpt")
    assert asked == ["memory://folder/a.ckpt"] and not os.path.exists("memory:")


def test_fingerprints():
    state = {"w": torch.arange(6.0), "n": 1, "h": torch.ones(3, dtype=torch.bfloat16)}
    same = fingerprint(state)
    assert fingerprint({**state, "w": torch.arange(6.0)}) == same
    for change in ({"n": 2}, {"w": torch.arange(6.0).reshape(2, 3)}, {"w": torch.arange(6)},
                   {"w": torch.arange(6.0).flip(0)}, {"h": torch.ones(3, dtype=torch.float16)},
                   {"more": None}):
        assert fingerprint({**state, **change}) != same, change


class Model(lightning.LightningModule):
    def __init__(self, folder):
        super().__init__()
        self.save_hyperparameters()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(6, 6)

    def training_step(self, batch, index):
        return self.layer(batch[0]).square().mean()

    def validation_step(self, batch, index):
        # Worse with every epoch: the first checkpoint stays the best.
        self.log("loss", torch.tensor(float(self.trainer.global_step)))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.01)


def test_a_real_training_with_a_monitor(start, tmp_path):
    data = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.randn(24, 6)), batch_size=6)
    io = start()
    best = lightning.callbacks.ModelCheckpoint(dirpath=tmp_path, monitor="loss", save_last=True,
                                               filename="best-{step}")
    weights = lightning.callbacks.ModelCheckpoint(
        dirpath=tmp_path / "weights", monitor="loss", mode="max", save_weights_only=True,
        filename="w-{step}")
    seen = []

    class Watch(lightning.Callback):
        def on_train_epoch_end(self, trainer, module):
            seen.append({name: read_mark(tmp_path / name) is not None
                         for name in os.listdir(tmp_path) if name.endswith(".ckpt")})

    trainer = lightning.Trainer(max_epochs=6, accelerator="cpu", logger=False, plugins=[io],
                                callbacks=[best, weights, Watch()], enable_progress_bar=False,
                                enable_model_summary=False)
    trainer.fit(Model(pathlib.Path("/data")), data, data)
    assert trainer.global_step == 24
    assert any(names.get("last.ckpt") for names in seen)  # in memory while training
    found = torch.load(best.best_model_path, weights_only=False)
    assert found["global_step"] == 4
    assert found["hyper_parameters"]["folder"] == pathlib.Path("/data")
    # Lightning's last is the last that was among the best.
    assert torch.load(tmp_path / "last.ckpt", weights_only=False)["global_step"] == 4
    only = torch.load(weights.best_model_path, weights_only=False)
    assert only["global_step"] == 24 and "optimizer_states" not in only
    for file in (best.best_model_path, weights.best_model_path):
        assert Model.load_from_checkpoint(file, weights_only=False).layer.weight.shape == (6, 6)
