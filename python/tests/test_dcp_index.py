# SPDX-License-Identifier: Apache-2.0
"""The index: plans that PyTorch caches, what an index has to cover, and a run that has nothing."""

import json
import random
import time

import pytest
import torch
import torch.distributed as distributed
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

import ckptd
import ckptd.dcp
import ranks
from ckptd.dcp import Reader, Writer
from ckptd.dcp_index import INDEX, metadata_of, step_of
from ckptd.boxes import Box, covers


def rows(mesh, value, count=4):
    return distribute_tensor(torch.full((count, 2), float(value)), mesh, [Shard(0)])


def states(mesh, case, step):
    """(saved, loaded into) of a step; something of one rank's plan changes from step to step."""
    saved, target = {"w": rows(mesh, step)}, {"w": rows(mesh, -1)}
    if case == "a":  # goes to rank 1, so that "new" goes to rank 0
        saved["big"], target["big"] = torch.full((9,), float(step)), torch.zeros(9)
    if step >= 2:
        saved["new"], target["new"] = torch.full((4,), float(step)), torch.zeros(4)
    if step >= 4 and case == "c":  # another shape in every rank
        saved["w"], target["w"] = rows(mesh, step, 6), rows(mesh, -1, 6)
    if case == "d" and step % 2:  # comes and goes
        saved["odd"], target["odd"] = {"n": step}, {"n": 0}
    return saved, target


def save_with_cached_plans(rank, world, say, run, sockets, case, keep):
    mesh = init_device_mesh("cpu", (world,))
    with ckptd.Context(run, rank=rank, world=world, socket=sockets[rank]) as context:
        writer = Writer(context)
        for step in range(1, 6):
            saved, target = states(mesh, case, step)
            planner = DefaultSavePlanner(enable_plan_caching=True)
            dcp.save(saved, checkpoint_id=step, planner=planner,
                     storage_writer=writer if keep else Writer(context))
            dcp.load(target, checkpoint_id=step, storage_reader=Reader(context))
            for name, value in saved.items():
                same = target[name]
                if hasattr(value, "full_tensor"):
                    value, same = value.full_tensor(), same.full_tensor()
                assert torch.equal(value, same) if torch.is_tensor(value) else value == same, (
                    step, name, same)
            if rank == 0:
                with context.fetch(0, step) as shard:
                    say(INDEX in shard.entries)


@pytest.mark.parametrize("case, keep", [("a", False), ("b", False), ("c", True), ("d", True)])
def test_plans_that_pytorch_caches(shared_cluster, run, case, keep):
    """Whichever rank's plan is the one of last time, by one writer or a new one each time."""
    job = ranks.Job(2, save_with_cached_plans, run=run, case=case, keep=keep,
                    sockets=[agent.socket for agent in shared_cluster.agents])
    job.wait()
    assert job.notes[0] == [True] * 5


def load_from_nothing(rank, world, say, run, sockets):
    with ckptd.Context(run, rank=rank, world=world, socket=sockets[rank % 3]) as context:
        reader = Reader(context)
        began = time.monotonic()
        assert not reader.exists() and not ckptd.dcp.has_checkpoint(context)
        with pytest.raises(CheckpointException, match="no consistent checkpoint yet"):
            dcp.load({"w": torch.zeros(2)}, storage_reader=reader)
        with pytest.raises(CheckpointException):
            dcp.load({"w": torch.zeros(2)}, checkpoint_id=3, storage_reader=reader)
        assert time.monotonic() - began < 30
        # The ranks go on together: nobody is a collective behind.
        dcp.save({"w": torch.ones(2)}, checkpoint_id=1, storage_writer=Writer(context))
        assert reader.newest() == 1 and reader.exists()
        state = {"w": torch.zeros(2)}
        dcp.load(state, storage_reader=reader)
        assert state["w"].tolist() == [1, 1]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_a_first_start(shared_cluster, run, world):
    """All ranks are told, and none waits for a word that nobody says."""
    ranks.run(world, load_from_nothing, run=run,
              sockets=[agent.socket for agent in shared_cluster.agents])


def load_without_rank_0s_agent(rank, world, say, run, sockets):
    with ckptd.Context(run, rank=rank, world=world, socket=sockets[rank], timeout=1) as context:
        distributed.barrier()
        say("open")
        distributed.barrier()
        while rank == 0:
            try:
                context.info()
            except ckptd.NoAgent:
                break
            except ckptd.Error:
                time.sleep(0.05)
        distributed.barrier()
        with pytest.raises(CheckpointException, match="AGENT"):
            dcp.load({"w": torch.zeros(2)}, storage_reader=Reader(context))


def test_a_failure_of_the_first_rank_is_everybodys(start_cluster, run):
    cluster = start_cluster(agents=2)
    job = ranks.Job(2, load_without_rank_0s_agent, run=run,
                    sockets=[agent.socket for agent in cluster.agents])
    job.wait_note(lambda notes: all(notes))
    cluster.agents[0].kill()
    job.wait()


def covered_one_by_one(size, boxes):
    mask = torch.zeros(size, dtype=torch.bool)
    for box in boxes:
        mask[box.within(Box((0,) * len(size), size))] = True
    return bool(mask.all())


def cut(random_, box):
    """Two boxes that are one."""
    dimension = random_.randrange(len(box.sizes))
    at = random_.randrange(box.sizes[dimension] + 1)
    sizes, rest = list(box.sizes), list(box.sizes)
    offsets = list(box.offsets)
    sizes[dimension], rest[dimension] = at, box.sizes[dimension] - at
    offsets[dimension] += at
    return [Box(box.offsets, tuple(sizes)), Box(tuple(offsets), tuple(rest))]


def test_covers_is_what_looking_at_each_element_says():
    random_ = random.Random(5)
    answers = [0, 0]
    for _ in range(2000):
        size = tuple(random_.randrange(1, 5) for _ in range(random_.randrange(4)))
        boxes = [Box((0,) * len(size), size)]
        for _ in range(random_.randrange(6) if size else 0):
            boxes += cut(random_, boxes.pop(random_.randrange(len(boxes))))
        boxes = [box for box in boxes if box.count > 0]
        if random_.random() < 0.5:
            boxes.pop(random_.randrange(len(boxes)))
        elif random_.random() < 0.5:
            boxes.append(random_.choice(boxes))
        random_.shuffle(boxes)
        wanted = covered_one_by_one(size, boxes)
        answers[wanted] += 1
        assert covers(size, boxes) == wanted, (size, boxes)
    assert min(answers) > 300


def index(chunks, size=(4, 2)):
    return {"tensors": {"w": {"dtype": "float32", "size": list(size), "chunks": chunks}},
            "values": {}, "paths": {}}


@pytest.mark.parametrize("chunks", [
    [], [[0, "w", [0, 0], [2, 2]]], [[0, "w", [0, 0], [4, 1]]],
    [[0, "w", [0, 0], [2, 2]], [1, "w", [0, 0], [2, 2]]],  # as many elements as there should be
    [[0, "w", [0, 0], [2, 2]], [1, "w", [1, 0], [2, 2]]],
    [[0, "w", [0], [4]]], [[0, "w", [0, 0], [5, 2]]], [[0, "w", [-1, 0], [5, 2]]]])
def test_an_index_with_holes_is_refused(chunks):
    with pytest.raises(ckptd.Error, match="step 7 does not have the whole of w"):
        metadata_of(index(chunks), "step 7")


def test_an_index_that_is_whole_is_read():
    whole = [[0, "w", [0, 0], [2, 2]], [1, "w", [2, 0], [2, 2]], [2, "w", [0, 0], [2, 2]]]
    found = metadata_of(index(whole), "step 7")
    assert len(found.state_dict_metadata["w"].chunks) == 2
    assert metadata_of(index([], (0, 2)), "step 7").state_dict_metadata["w"].chunks == []


@pytest.mark.parametrize("said, reason", [
    ([[0, "w", [0, 0], [2, 2]]], "whole of w"),
    ([[0, "w", [0, 0], [4, 2]]], "does not have w as its index says"),  # it has half of that
    ([[0, "v", [0, 0], [4, 2]]], "does not have v as its index says"),
    ([[5, "w", [0, 0], [4, 2]]], "rank 5")])
def test_nothing_is_filled_from_a_wrong_index(shared_cluster, run, said, reason):
    """Whatever wrote it: here by hand."""
    from ckptd.context import Table, Tensor
    from ckptd.library import ffi
    from ckptd.tensors import describe

    data = torch.full((2, 2), 5.0)
    text = json.dumps(index(said)).encode()
    memory = ffi.from_buffer(text)
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        context.save(1, Table([describe("w", data), Tensor(
            INDEX, "U8", (len(text),), int(ffi.cast("uintptr_t", memory)), len(text))]))
        context.wait(1, 20)
        target = {"w": torch.full((4, 2), -1.0)}
        with pytest.raises(CheckpointException, match=reason):
            dcp.load(target, storage_reader=Reader(context), no_dist=True)
        assert target["w"].unique().tolist() == [-1]


def test_lazy_views_are_saved_as_what_they_mean(shared_cluster, run):
    z = torch.tensor([1 + 2j, 3 + 4j])
    cases = {"conj": z.conj(), "neg": torch._neg_view(torch.tensor([1.0, 3.0])),
             "imag": z.conj().imag, "scalar": z.conj()[0]}
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        writer = Writer(context)
        dcp.save(dict(cases), checkpoint_id=1, storage_writer=writer, no_dist=True)
        for step in (1, 2, 3):
            if step > 1:
                dcp.async_save(dict(cases), checkpoint_id=step, no_dist=True, storage_writer=(
                    writer if step == 2 else writer.at(step))).result()
            got = {name: torch.zeros(value.shape, dtype=value.dtype)
                   for name, value in cases.items()}
            dcp.load(got, checkpoint_id=step, storage_reader=Reader(context), no_dist=True)
            for name, value in cases.items():
                assert torch.equal(got[name], value), (step, name)
        writer.close()


@pytest.mark.parametrize("name, step", [
    (5, 5), (torch.tensor(6), 6), ("100", 100), ("run/step-7", 7), ("/x/3/checkpoint-12/", 12),
    ("step_4.pt", 4), ("step-100/model.bf16", 100), ("epoch=3-step=200.ckpt", 200),
    ("global_step100/mp_rank_00_model_states.pt", 100), ("iter_0000300", 300), ("epoch-9", 9),
    ("step=8-v1.ckpt", 8), ("/data/17", 17), ("12.safetensors", 12), ("ckpt.6", 6)])
def test_steps_of_names(name, step):
    assert step_of(name) == step


@pytest.mark.parametrize("name", [
    "last", "model.bf16", "llama-7b", "/tmp/tmp8x1", "step-1.5", "run-2026-11-29", "1.5",
    "footstep-4", -1, 2**64 - 1, True, None, 1.0, "", "model-00001-of-00003.safetensors"])
def test_names_without_a_step(name):
    with pytest.raises(ckptd.UsageError):
        step_of(name)
    assert not Writer.validate_checkpoint_id(name) and not Reader.validate_checkpoint_id(name)
