# SPDX-License-Identifier: Apache-2.0
"""What Callback saves of a step is what the Trainer's own checkpoint has of it."""

import json
import os

import pytest
import torch

transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from ckptd.huggingface import Callback  # noqa: E402  (needs transformers)


class Rows(torch.utils.data.Dataset):
    def __init__(self, count):
        self.rows = torch.randn(count, 6, generator=torch.Generator().manual_seed(3))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return {"x": self.rows[index], "labels": self.rows[index]}


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(6, 6)
        self.drop = torch.nn.Dropout(0.2)

    def forward(self, x, labels=None):
        y = self.layer(self.drop(x))
        return {"loss": (y - labels).square().mean(), "logits": y}


class Count(transformers.TrainerCallback, transformers.trainer_callback.ExportableState):
    """Counts the events it sees, and keeps the count."""

    def __init__(self, seen=0):
        self.seen = seen

    def on_step_end(self, args, state, control, **kwargs):
        self.seen += 1

    def on_evaluate(self, args, state, control, **kwargs):
        self.seen += 100

    def state(self):
        return {"args": {"seen": self.seen}, "attributes": {}}


class StopAt(transformers.TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            control.should_training_stop = True


def train(folder, callbacks, resume=None, worse=True, first=0, **arguments):
    """A Trainer that ran: its evaluations get worse (or better) by themselves."""
    told = [None] * first

    def metrics(prediction):
        told.append(None)
        return {"score": 1.0 / len(told) if worse else float(len(told))}

    settings = {"max_steps": 12, "eval_strategy": "steps", "eval_steps": 2, "logging_steps": 2,
                "save_strategy": "steps", "save_steps": 4, "metric_for_best_model": "score",
                "greater_is_better": True, **arguments}
    trainer = transformers.Trainer(
        model=Small(), train_dataset=Rows(16), eval_dataset=Rows(8), compute_metrics=metrics,
        callbacks=callbacks, args=transformers.TrainingArguments(
            output_dir=str(folder), per_device_train_batch_size=4, report_to=[], use_cpu=True,
            seed=5, disable_tqdm=True, restore_callback_states_from_checkpoint=True, **settings))
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def state_in(folder):
    with open(os.path.join(folder, "trainer_state.json"), encoding="utf-8") as file:
        found = json.load(file)
    # Of time, and of what a save of one's own counts and says of itself.
    found.pop("total_flos")
    found["stateful_callbacks"].pop("TrainerControl")
    found["log_history"] = [{key: value for key, value in line.items()
                             if "runtime" not in key and "per_second" not in key
                             and key != "total_flos"} for line in found["log_history"]]
    found.pop("best_model_checkpoint")
    return found


@pytest.fixture
def start(shared_cluster, run):
    opened = []

    def start_(**settings):
        settings = {"attempt": 1 + len(opened), "rank": 0, "world": 1,
                    "socket": shared_cluster.agents[0].socket, **settings}
        opened.append(Callback(run, timeout=20, **settings))
        return opened[-1]

    yield start_
    for callback in opened:
        callback.close()


def restored(start, tmp_path, first):
    first.wait()
    first.close()
    return start().restore(str(tmp_path / "restored"))


@pytest.mark.parametrize("first_in_line", [True, False])
def test_callbacks_and_evaluations_of_the_saved_step(start, tmp_path, first_in_line):
    """Whichever comes first in line: the Trainer's own checkpoint of step 12 is the truth."""
    callback = start(every=4)
    stop = transformers.EarlyStoppingCallback(early_stopping_patience=20)
    others = [stop, Count()]
    trainer = train(tmp_path / "own", [callback, *others] if first_in_line else
                    [*others, callback])
    folder = restored(start, tmp_path, callback)
    assert os.path.basename(folder) == "checkpoint-12"
    own, ours = state_in(tmp_path / "own" / "checkpoint-12"), state_in(folder)
    assert ours == own
    assert ours["stateful_callbacks"]["EarlyStoppingCallback"]["attributes"] == {
        "early_stopping_patience_counter": 5}
    assert ours["stateful_callbacks"]["Count"]["args"]["seen"] == 12 + 600
    assert [line["step"] for line in ours["log_history"] if "eval_score" in line] == [
        2, 4, 6, 8, 10, 12]
    assert ours["best_metric"] == 1.0 and ours["best_global_step"] == 2
    assert trainer.state.global_step == 12
    weights = load_file(os.path.join(folder, "model.safetensors"))
    truth = load_file(str(tmp_path / "own" / "checkpoint-12" / "model.safetensors"))
    assert all(torch.equal(weights[name], value) for name, value in truth.items())


def test_between_the_trainers_own_checkpoints(start, tmp_path):
    """It has none here: patience would run out two evaluations later than it should."""
    callback = start(every=1)
    stop = transformers.EarlyStoppingCallback(early_stopping_patience=3)
    trainer = train(tmp_path / "a", [callback, stop, StopAt(6)], save_strategy="no")
    assert trainer.state.global_step == 6
    folder = restored(start, tmp_path, callback)
    assert state_in(folder)["stateful_callbacks"]["EarlyStoppingCallback"]["attributes"] == {
        "early_stopping_patience_counter": 2}
    # One more that is no better ends it, as it would have without the break.
    stop = transformers.EarlyStoppingCallback(early_stopping_patience=3)
    resumed = train(tmp_path / "b", [stop], save_strategy="no", resume=folder, first=5)
    assert resumed.state.global_step == 8 and resumed.state.best_metric == 1.0


def test_an_epochs_evaluation_belongs_to_its_last_step(start, tmp_path):
    callback = start(every=4)  # an epoch has four
    train(tmp_path / "own", [callback, Count()], eval_strategy="epoch", save_strategy="epoch",
          logging_strategy="epoch", worse=False)
    folder = restored(start, tmp_path, callback)
    assert state_in(folder) == state_in(tmp_path / "own" / "checkpoint-12")


def test_the_best_model_is_not_saved_for_the_last(start, tmp_path):
    """The Trainer loads it into the model at the end, before it says that it has ended."""
    callback = start(every=4)
    train(tmp_path / "own", [callback], eval_strategy="epoch", save_strategy="epoch",
          logging_strategy="epoch", load_best_model_at_end=True)
    folder = restored(start, tmp_path, callback)
    assert os.path.basename(folder) == "checkpoint-12"
    weights = load_file(os.path.join(folder, "model.safetensors"))
    truth = load_file(str(tmp_path / "own" / "checkpoint-12" / "model.safetensors"))
    best = load_file(str(tmp_path / "own" / "checkpoint-4" / "model.safetensors"))
    assert torch.equal(weights["layer.weight"], truth["layer.weight"])
    assert not torch.equal(best["layer.weight"], truth["layer.weight"])


def test_a_resumed_training_with_dropout_and_evaluations_is_the_same(start, tmp_path):
    truth = train(tmp_path / "truth", [Count()], max_steps=16)
    callback = start(every=3)
    train(tmp_path / "a", [callback, Count(), StopAt(10)], max_steps=16)
    folder = restored(start, tmp_path, callback)
    assert os.path.basename(folder) == "checkpoint-9"
    again = train(tmp_path / "b", [Count()], max_steps=16, resume=folder)
    assert torch.equal(again.model.layer.weight, truth.model.layer.weight)
    found = [one for one in again.callback_handler.callbacks if isinstance(one, Count)]
    assert [one.seen for one in found] == [16 + 800]
