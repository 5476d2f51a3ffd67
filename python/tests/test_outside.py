# SPDX-License-Identifier: Apache-2.0
"""A run as it is seen from outside: load, steps, metrics, the log; and which steps are saved."""

import logging
import threading

import pytest
import states_at_random as states
import torch
from test_states import TENSORS, Buffered, same

import ckptd


def test_load_gives_a_finished_run(attach, shared_cluster, run):
    model = torch.nn.ModuleDict({"a/b": torch.nn.Linear(2, 2), "odd": Buffered(
        TENSORS["complex128"]()), "tied": states.Extra()})
    model["again"] = model["a/b"]
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    with attach(model, optimizer, {"epoch": 3}) as checkpoint:
        checkpoint.save(7).consistent(20)
    found = ckptd.load(run, socket=shared_cluster.agents[1].socket)
    assert (found.run, found.step, found.world, found.extra) == (run, 7, 1, {"epoch": 3})
    assert same({name: found.model[name] for name in model.state_dict()}, dict(model.state_dict()))
    torch.nn.ModuleDict(model).load_state_dict(found.model)
    state = found.optimizers[0]["state"]["a/b.weight"]
    assert same(state, dict(optimizer.state[model["a/b"].weight]))
    assert found.optimizers[0]["groups"][0]["lr"] == 0.001
    with pytest.raises(ckptd.NoCheckpoint):
        ckptd.load(f"{run}x", socket=shared_cluster.agents[1].socket)


def test_steps_are_listed(attach, shared_cluster, run):
    with attach(torch.nn.Linear(1, 1)) as checkpoint:
        for step in (3, 5):
            checkpoint.save(step).consistent(20)
    address = shared_cluster.coordinator.socket
    found = ckptd.steps(run, coordinator=address)
    assert [one.step for one in found] == [5, 3] and found[0].copies == 2 and found[0].bytes > 0
    assert ckptd.load(run, 3, socket=shared_cluster.agents[0].socket).step == 3
    with pytest.raises(ckptd.Error):
        ckptd.steps(run, coordinator="/nowhere.sock")


def test_every_so_many_steps_and_the_best(attach, tmp_path):
    model = torch.nn.Linear(2, 2)
    losses = {1: 5.0, 2: 4.0, 3: 6.0, 4: 5.5, 5: 3.0, 6: float("nan"), 7: 9.0}
    with attach(model, every=4, best="min", persist=str(tmp_path), persist_every=4) as checkpoint:
        saved = []
        for step, loss in losses.items():
            handle = checkpoint.save(step, metric=loss)
            if handle.error is None:
                handle.persisted(20)
                saved.append(step)
            else:
                with pytest.raises(ckptd.UsageError, match="every 4th"):
                    handle.staged()
        assert saved == [1, 2, 4, 5] and checkpoint.best == (5, 3.0)
        assert {path.name for path in tmp_path.iterdir() if path.name.startswith("step-")} >= {
            "step-1", "step-2", "step-4", "step-5"}
        assert checkpoint.save(8, metric=7.0).consistent(20)
    with attach(model, attempt=2, best="min") as resumed:
        assert resumed.resumed == 8 and resumed.best == (5, 3.0)
    with pytest.raises(ckptd.UsageError, match="best"):
        attach(model, attempt=3, best="smallest")


def test_metrics_reach_the_callers_own(attach):
    told, come = [], threading.Event()

    def tell(saved):
        told.append(saved)
        come.set()
        raise RuntimeError("of the caller's")

    checkpoint = attach(torch.nn.Linear(2, 2), metrics=tell)
    for step in (1, 2):
        come.clear()
        checkpoint.save(step)
        assert come.wait(20)
    assert [one.step for one in told] == [1, 2]
    assert all(0 < one.stall <= one.consistent and one.error is None for one in told)


def test_what_attach_did_is_in_the_log(attach, caplog, run):
    with caplog.at_level(logging.INFO, "ckptd"):
        with attach(torch.nn.Linear(2, 2)) as checkpoint:
            checkpoint.save(5).consistent(20)
        attach(torch.nn.Linear(2, 2), attempt=2)
    first, second = (record.getMessage() for record in caplog.records)
    assert f"run {run}, attempt 1, rank 0 of 1: begins at 0, as the run has no" in first
    assert "attempt 2" in second and "goes on from step 5, which attempt 1 saved with 1 ranks" in \
        second
