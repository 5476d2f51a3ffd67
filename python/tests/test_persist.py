# SPDX-License-Identifier: Apache-2.0
"""Files of consistent checkpoints: whole or not there, ours or not counted, and never silent."""

import json
import logging
import os
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

import ckptd
from ckptd import persist_folder
from ckptd.context import Table
from ckptd.persist import Persister
from ckptd.persist_folder import file_name, finish_earlier, record_name, write_file
from ckptd.tensors import describe


class Ranks:
    """All ranks of a run in this process, each with its context and its thread."""

    def __init__(self, cluster, run, directory, world=1, attempt=1, every=1):
        self.contexts, self.persisters = [], []
        for rank in range(world):
            settings = {"run": run, "attempt": attempt, "rank": rank, "world": world,
                        "socket": cluster.agents[rank].socket}
            self.contexts.append(ckptd.Context(**settings))
            self.persisters.append(Persister(settings, str(directory), every))

    def save(self, step, *ranks):
        for rank in ranks or range(len(self.contexts)):
            value = torch.full((5000,), step + rank / 8)
            self.contexts[rank].save(step, Table([describe("w", value)]))
            self.persisters[rank].add(step)

    def close(self, timeout=15.0):
        for persister in reversed(self.persisters):  # as ranks that end together, rank 0 last
            persister.close(timeout)
        for context in self.contexts:
            context.close()


@pytest.fixture
def start(shared_cluster, run, tmp_path):
    opened = []

    def start_(directory=tmp_path, **settings):
        opened.append(Ranks(shared_cluster, run, directory, **settings))
        return opened[-1]

    yield start_
    for ranks in opened:
        ranks.close(0.1)


def values(folder, rank=0):
    return load_file(str(folder / file_name(rank)))["w"].unique().tolist()


def test_the_folder_may_get_its_name_as_soon_as_the_last_record_is_there(tmp_path, monkeypatch):
    part, named = tmp_path / "step-5.part", tmp_path / "step-5"
    part.mkdir()
    replace = os.replace

    def replace_and_name(*names):
        replace(*names)
        os.rename(part, named)

    monkeypatch.setattr(persist_folder.os, "replace", replace_and_name)
    write_file(str(part / "record"), b"x")
    assert (named / "record").read_bytes() == b"x"


def test_a_folder_has_its_name_when_every_rank_has_written(start, tmp_path):
    ranks = start(world=2)
    ranks.save(1)
    for persister in ranks.persisters:
        persister.wait(1, 20)
    assert sorted(os.listdir(tmp_path)) == ["step-1"]
    assert [values(tmp_path / "step-1", rank) for rank in (0, 1)] == [[1.0], [1.125]]
    record = json.loads((tmp_path / "step-1" / record_name(1)).read_text())["ckptd"]
    with ranks.contexts[0].fetch(1, 1) as shard:
        assert record["digest"] == shard.digest.hex() and record["bytes"] == shard.bytes
        assert record["digest_kind"] == shard.digest_kind
    # A rank that does not write holds no name back for ever.
    ranks.persisters[1].close()
    ranks.save(2)
    with pytest.raises(ckptd.Timeout):
        ranks.persisters[0].wait(2, 0.5)
    assert not (tmp_path / "step-2").exists()


def test_what_somebody_else_left_does_not_count(start, tmp_path):
    folder = tmp_path / "step-5"
    folder.mkdir()
    for rank in range(3):
        save_file({"old": torch.zeros(2)}, str(folder / file_name(rank)))
    ranks = start(world=2)
    ranks.save(5, 0)
    with pytest.raises(ckptd.Timeout):
        ranks.persisters[0].wait(5, 0.3)
    ranks.save(5, 1)
    for persister in ranks.persisters:
        persister.wait(5, 20)
    assert values(folder) == [5.0]
    assert not (folder / file_name(2)).exists()  # a reader would take it for a part of this
    assert (tmp_path / "step-5.old-1" / file_name(2)).exists()


def test_another_attempts_folder_does_not_count(start, tmp_path):
    """The same run, step and number of bytes: another life of it."""
    first = start(world=1)
    first.save(3)
    first.persisters[0].wait(3, 20)
    first.close()
    second = start(world=1, attempt=2)
    second.save(4)
    second.persisters[0].wait(4, 20)
    with pytest.raises(ckptd.UsageError):
        second.persisters[0].wait(3, 1)
    record = tmp_path / "step-4" / record_name(0)
    said = json.loads(record.read_text())
    for change in ({"attempt": 1}, {"run": "other"}, {"bytes": 7}, {"world": 2}):
        record.write_text(json.dumps({"ckptd": {**said["ckptd"], **change}}))
        assert not persist_folder.Folder(str(tmp_path), second.contexts[0].run, 4, 2,
                                         1).is_whole(str(tmp_path / "step-4"))


def test_another_runs_directory_is_refused(start, tmp_path, caplog):
    (tmp_path / "step-1").mkdir()
    (tmp_path / "step-1" / "ckptd.json").write_text(json.dumps({"ckptd": {"run": "theirs"}}))
    ranks = start()
    ranks.save(1)
    with pytest.raises(ckptd.Error, match="run theirs's: give each run a directory of its own"):
        ranks.persisters[0].wait(1, 20)
    assert os.listdir(tmp_path / "step-1") == ["ckptd.json"]


def test_a_failure_is_logged_once_and_told_to_who_asks(start, tmp_path, caplog):
    blocked = tmp_path / "directory"
    blocked.write_text("a file")
    caplog.set_level(logging.INFO, "ckptd")
    ranks = start(directory=blocked)
    for step in (1, 2):
        ranks.save(step)
        with pytest.raises(ckptd.Error, match=f"step {step} was not persisted"):
            ranks.persisters[0].wait(step, 20)
    assert ranks.persisters[0].failure.status == "CKPT_ERR_DISK"
    warnings = [line for line in caplog.messages if "was not persisted" in line]
    assert len(warnings) == 1 and "step 1" in warnings[0]
    blocked.unlink()
    ranks.save(3)
    ranks.persisters[0].wait(3, 20)
    deadline = time.monotonic() + 10  # the folder has its name a moment before that is said
    while ranks.persisters[0].failure is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ranks.persisters[0].failure is None
    assert any("again" in line for line in caplog.messages)


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "file"
    (tmp_path / "file.part").write_bytes(b"of a process that was killed")
    path.write_bytes(b"before")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError):
            write_file(str(path), b"after")
    assert os.listdir(tmp_path) == ["file"] and path.read_bytes() == b"before"
    write_file(str(path), b"after")
    assert path.read_bytes() == b"after"


def test_file_and_folder_are_synced_before_the_record(start, tmp_path, monkeypatch):
    synced = []
    real = os.fsync

    def fsync(descriptor):
        synced.append(os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), tmp_path))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    ranks = start()
    ranks.save(1)
    ranks.persisters[0].wait(1, 20)
    ranks.close()
    part = "step-1.attempt-1.part"
    shard, record = (f"{part}/{name}.part" for name in (file_name(0), record_name(0)))
    begin = synced.index(shard)
    assert synced[begin : begin + 5] == [shard, part, record, part, "."]


def test_the_last_step_is_written_at_the_end(start, tmp_path):
    ranks = start(world=2)
    ranks.save(1)
    ranks.close()  # at once
    assert values(tmp_path / "step-1", 1) == [1.125]
    assert os.listdir(tmp_path) == ["step-1"]


def test_the_end_does_not_wait_for_ever(start, tmp_path):
    ranks = start(world=2)
    ranks.save(1, 0)  # rank 1 never comes
    began = time.monotonic()
    ranks.close(0.5)
    assert time.monotonic() - began < 10
    assert not (tmp_path / "step-1").exists()
    with pytest.raises(ckptd.Error, match="before the end"):
        ranks.persisters[0].wait(1, 1)


def test_steps_that_are_retired_first_are_said_to_be(start, tmp_path):
    ranks = start()
    persister = ranks.persisters[0]
    for step in range(1, 8):  # faster than the thread looks
        ranks.save(step)
    persister.wait(7, 20)
    told = 0
    for step in range(1, 7):
        try:
            persister.wait(step, 5)
            assert values(tmp_path / f"step-{step}") == [float(step)]
        except ckptd.Error as error:
            told += 1  # retired before it was looked at, or between that and the fetch
            assert not isinstance(error, ckptd.Timeout) and error.reason
    assert sum(name[5:].isdigit() for name in os.listdir(tmp_path)) == 7 - told


def test_a_whole_folder_without_a_name_gets_it_at_the_next_start(start, tmp_path):
    """Rank 0 was killed after every rank had written."""
    ranks = start(world=2)
    ranks.save(1)
    for persister in ranks.persisters:
        persister.wait(1, 20)
    run = ranks.contexts[0].run
    ranks.close()
    part = tmp_path / "step-1.attempt-1.part"
    os.rename(tmp_path / "step-1", part)
    finish_earlier(str(tmp_path), "another/run")
    assert part.exists()
    again = start(world=2, attempt=2)
    again.save(2)
    again.persisters[0].wait(2, 20)
    assert values(tmp_path / "step-1") == [1.0]
    # What is not whole goes, once a later step is.
    os.rename(tmp_path / "step-1", part)
    (part / record_name(1)).unlink()
    again.save(3)
    again.persisters[0].wait(3, 20)
    deadline = time.monotonic() + 10
    while part.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(os.listdir(tmp_path)) == ["step-2", "step-3"]
