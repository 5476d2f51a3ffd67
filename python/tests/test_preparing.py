# SPDX-License-Identifier: Apache-2.0
"""The first save is as fast as the tenth: by the page faults that it meets, not by the clock."""

import logging
import resource

import pytest
import torch

import ckptd
from ckptd import checkpointer

SIDE = 1024  # a model of 4 MiB, 1024 pages
PAGES = SIDE * SIDE * 4 // 4096
STRAY = PAGES // 4  # of the interpreter's own memory


def faults():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt


def first_save(checkpoint, step=1):
    """In page faults of this thread, which copies."""
    before = faults()
    handle = checkpoint.save(step)
    met = faults() - before
    assert handle.error is None and handle.consistent(60)
    return met


def step(model, optimizer):
    model(torch.ones(1, SIDE)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def make(kind=None):
    model = torch.nn.Linear(SIDE, SIDE, bias=False)
    return model, kind(model.parameters(), lr=0.1) if kind else None


def test_the_measure_sees_what_is_not_prepared(attach, monkeypatch):
    monkeypatch.setattr(checkpointer.Checkpointer, "prepare", lambda *_, **__: None)
    assert first_save(attach(make()[0])) >= PAGES


def test_attach_prepares_for_what_is_described(attach):
    checkpoint = attach(make()[0])
    for number in range(1, 4):
        assert first_save(checkpoint, number) < STRAY


def test_the_first_step_prepares_for_the_optimizer(attach):
    model, optimizer = make(torch.optim.AdamW)
    checkpoint = attach(model, optimizer)
    step(model, optimizer)
    assert len(optimizer._optimizer_step_post_hooks) == 0  # it was of that step alone
    checkpoint._preparer.wait()
    assert first_save(checkpoint) < STRAY


def test_a_save_ends_what_is_prepared_in_the_background(attach):
    """And gets its slot all the same."""
    model, optimizer = make(torch.optim.SGD)
    checkpoint = attach(model, optimizer)
    for number in range(1, 6):
        checkpoint.prepare(background=True)
        assert checkpoint.save(number).error is None
    assert checkpoint.save(6).consistent(60)


def test_a_restart_finds_the_size_of_its_saves(attach):
    model, optimizer = make(torch.optim.AdamW)
    with attach(model, optimizer) as checkpoint:
        step(model, optimizer)
        assert checkpoint.save(1).consistent(60)
    other, its = make(torch.optim.AdamW)
    resumed = attach(other, its, attempt=2)
    assert resumed.resumed == 1
    step(other, its)
    resumed._preparer.wait()
    assert first_save(resumed, 2) < STRAY


def test_no_room_is_said_and_hurts_nobody(attach, monkeypatch, caplog):
    def refuse(*_):
        raise ckptd.Error("CKPT_ERR_FULL", "no room")

    monkeypatch.setattr(ckptd.Context, "prepare", refuse)
    with caplog.at_level(logging.INFO, logger="ckptd"):
        checkpoint = attach(make()[0])
    assert "will map their memory themselves" in caplog.text
    assert checkpoint.save(1).consistent(60)


def test_an_optimizer_keeps_no_checkpointer_alive(attach):
    model, optimizer = make(torch.optim.SGD)
    with attach(model, optimizer):
        assert len(optimizer._optimizer_step_post_hooks) == 1
    assert len(optimizer._optimizer_step_post_hooks) == 0


def test_a_context_prepares(shared_cluster, run):
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        context.prepare(1 << 20)
        with pytest.raises(ckptd.Error):
            context.prepare(1 << 40)
