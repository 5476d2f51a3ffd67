# SPDX-License-Identifier: Apache-2.0
"""The folder of one persisted step: whose it is, what is in it, and whether that is all.

Every file is written under another name, synced, and renamed; so is the folder.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from dataclasses import asdict, dataclass
from typing import Any

from .context import Shard
from .errors import UsageError

_log = logging.getLogger("ckptd")
_BLOCK = 16 << 20
_OWNER = "ckptd.json"
_RECORD_MAX = 4096  # bytes; a record is far smaller


def file_name(rank: int) -> str:
    """The name of a rank's shard."""
    return f"shard-{rank + 1:05}-model-00001-of-00001.safetensors"


def record_name(rank: int) -> str:
    """The name of the record beside it."""
    return f"shard-{rank + 1:05}.json"


@dataclass(frozen=True)
class Record:
    """What a rank's file is."""

    run: str
    step: int
    attempt: int
    rank: int
    world: int
    bytes: int
    digest: str
    digest_kind: str = "blake3"


def sync_folder(folder: str) -> None:
    """A new name is durable only with its folder; file systems that cannot sync one are let be."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(descriptor, folder)
    finally:
        os.close(descriptor)


def _sync(descriptor: int, folder: str) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        _log.debug("%s is not synced: %s", folder, error)


def write_file(path: str, data: Any, writer: str = "") -> None:
    """Bytes under a name, whole or not at all; what an earlier try of this writer has left goes.

    Synced, and its folder too. Raises OSError, and then leaves nothing. writer tells apart those
    that may write this name at the same time.
    """
    part = f"{path}.part{writer}"
    name = os.path.dirname(path) or "."
    # Held, as rank 0 may give the folder its name as soon as the last record is there.
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with open(part, "wb", buffering=0) as file:
            memory = memoryview(data)
            for begin in range(0, len(memory), _BLOCK):
                block = memory[begin : begin + _BLOCK]
                while len(block) > 0:
                    block = block[file.write(block) :]
                block.release()
            memory.release()
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync(folder, name)
    except BaseException:
        _remove(part)
        raise
    finally:
        os.close(folder)


def write_shard(folder: str, shard: Shard) -> str:
    """Writes a shard as it is in memory; the file's path."""
    path = os.path.join(folder, file_name(shard.rank))
    write_file(path, shard.file())
    return path


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _read_json(path: str) -> Any:
    """A small document; None for anything else."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.loads(file.read(_RECORD_MAX))
    except (OSError, ValueError):
        return None


def _owner_of(path: str) -> Any:
    found = _read_json(os.path.join(path, _OWNER))
    return found.get("ckptd") if isinstance(found, dict) else None


class Folder:
    """DIRECTORY/step-STEP of one checkpoint, and what it is called while it is written."""

    def __init__(self, directory: str, run: str, step: int, attempt: int, world: int) -> None:
        self.directory, self.run, self.step = directory, run, step
        self.attempt, self.world = attempt, world
        self.bytes: int | None = None  # of all shards, where that is known
        self.path = os.path.join(directory, f"step-{step}")
        self.part = f"{self.path}.attempt-{attempt}.part"

    @property
    def _owner(self) -> dict[str, Any]:
        return {"run": self.run, "step": self.step, "attempt": self.attempt, "world": self.world}

    def make(self, rank: int) -> None:
        """Makes the folder that is written to. UsageError where another run's is in the place."""
        for path in (self.path, self.part):
            owner = _owner_of(path)
            if isinstance(owner, dict) and owner.get("run") != self.run:
                raise UsageError("CKPT_ERR_INVALID", f"{path} is run {owner.get('run')}'s: give "
                                                     "each run a directory of its own")
        os.makedirs(self.part, exist_ok=True)
        if _owner_of(self.part) != self._owner:
            write_file(os.path.join(self.part, _OWNER),
                       json.dumps({"ckptd": self._owner}).encode(), f"-{rank}")
        sync_folder(self.directory)

    def add(self, shard: Shard) -> Record:
        """Writes a rank's shard and, once it is durable, the record that says so."""
        record = Record(self.run, shard.step, shard.attempt, shard.rank, shard.world, shard.bytes,
                        shard.digest.hex(), shard.digest_kind)
        beside = os.path.join(self.part, record_name(shard.rank))
        _remove(beside)
        write_shard(self.part, shard)
        write_file(beside, json.dumps({"ckptd": asdict(record)}).encode())
        return record

    def is_whole(self, path: str, own: Record | None = None) -> bool:
        """Whether every rank's file of this checkpoint is there, and so `own` as it was written."""
        total = 0
        for rank in range(self.world):
            found = _read_json(os.path.join(path, record_name(rank)))
            said = found.get("ckptd") if isinstance(found, dict) else None
            if not isinstance(said, dict) or said != {**said, **self._owner, "rank": rank}:
                return False
            if own is not None and rank == own.rank and said != asdict(own):
                return False
            try:
                size = os.path.getsize(os.path.join(path, file_name(rank)))
            except OSError:
                return False
            if size != said.get("bytes"):
                return False
            total += size
        return self.bytes is None or total == self.bytes

    def publish(self) -> None:
        """Gives the folder its name. What has it and is not this run's last life is moved aside."""
        if os.path.lexists(self.path):
            if self.is_whole(self.path):
                shutil.rmtree(self.part)
                return
            number = 1
            while os.path.lexists(aside := f"{self.path}.old-{number}"):
                number += 1
            os.rename(self.path, aside)
            _log.warning("%s was there before this checkpoint, and is %s now", self.path, aside)
        os.rename(self.part, self.path)
        sync_folder(self.directory)

    def remove_older_parts(self) -> None:
        """What this run has left unfinished up to this step: no rank will write there any more."""
        for step, _, path in _parts_of(self.directory, self.run):
            if step <= self.step:
                shutil.rmtree(path, ignore_errors=True)


def _parts_of(directory: str, run: str) -> list[tuple[int, dict[str, Any], str]]:
    """The unfinished folders of a run: (step, its owner, path)."""
    found = []
    for name in os.listdir(directory):
        match = re.fullmatch(r"step-(\d+)\.attempt-\d+\.part", name)
        owner = _owner_of(os.path.join(directory, name)) if match else None
        if isinstance(owner, dict) and owner.get("run") == run:
            found.append((int(match[1]), owner, os.path.join(directory, name)))
    return found


def finish_earlier(directory: str, run: str) -> None:
    """Names what every rank had written when the run ended, and nobody had named yet."""
    try:
        for step, owner, path in _parts_of(directory, run):
            folder = Folder(directory, run, step, owner["attempt"], owner["world"])
            if folder.part == path and not os.path.lexists(folder.path) and folder.is_whole(path):
                folder.publish()
    except (OSError, KeyError, TypeError) as error:
        _log.debug("%s has nothing to finish: %s", directory, error)
