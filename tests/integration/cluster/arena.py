# SPDX-License-Identifier: Apache-2.0
"""Reads and damages an arena from outside: the files in memory are all that a test believes.

Layout: docs/formats.md, "Slot record", and the head of src/arena/index.c.
"""

import mmap
import os
import struct

PAGE = 4096
PARTS_FROM = 4096  # an id from here on is a part's
FREE, FILLING, SEALED, PULLING, HELD, DIRTY = range(6)


class Record:
    def __init__(self, slot, offset, image):
        self.slot, self.offset = slot, offset
        (
            self.sequence,
            self.generation,
            self.step,
            self.bytes,
            self.number,
            self.uid,
            self.attempt,
            self.rank,
            self.world,
            self.copies,
            self.count,
        ) = struct.unpack_from("<QQQQIIIIIII", image, 8)
        self.state, flags = image[68], image[69]
        self.owner, self.has_digest = bool(flags & 1), bool(flags & 2)
        self.digest = image[72:104].hex()
        self.run = image[104:232].split(b"\0")[0].decode()
        (self.digest_key,) = struct.unpack_from("<Q", image, 2336)
        self.segments = list(struct.unpack_from(f"<{self.count}H", image, 232))

    def __repr__(self):
        return (
            f"<slot {self.slot} state {self.state} run {self.run} step {self.step} rank {self.rank}"
            f" owner {self.owner} segments {self.segments}>"
        )


class Arena:
    def __init__(self, directory, segment_bytes):
        self.directory, self.segment_bytes = directory, segment_bytes

    def _index(self):
        return os.path.join(self.directory, "index")

    def values(self, slot):
        """(generation, id of the key, bytes) that the slot's chunk values are of."""
        with open(os.path.join(self.directory, "values"), "rb") as file:
            image = file.read()
        segments, segment_bytes = struct.unpack_from("<IQ", image, 12)
        start = PAGE + segments * (segment_bytes >> 20) * 16
        return struct.unpack_from("<QQQ", image, start + slot * 64)

    def records(self):
        """The current record of each slot that is not free and was ever written."""
        with open(self._index(), "rb") as file:
            image = file.read()
        (slots,) = struct.unpack_from("<I", image, 36)
        if image[:8] != b"CKPTAREN":
            (slots,) = struct.unpack_from("<I", image, PAGE + 36)
        start = (2 * PAGE + slots * 8 + PAGE - 1) // PAGE * PAGE
        found = []
        for slot in range(slots):
            (cell,) = struct.unpack_from("<Q", image, 2 * PAGE + slot * 8)
            if cell == 0:
                continue
            offset = start + (slot * 2 + (cell & 1)) * PAGE
            record = Record(slot, offset, image[offset : offset + PAGE])
            if record.state != FREE:
                found.append(record)
        return found

    def find(self, run, step, rank, states=(SEALED, HELD)):
        for record in self.records():
            if (record.run, record.step, record.rank) == (
                run,
                step,
                rank,
            ) and record.state in states:
                return record
        return None

    def segment_path(self, segment):
        """A segment's file, or that of a part of one, by its id."""
        if segment >= PARTS_FROM:
            return os.path.join(self.directory, f"part-{segment - PARTS_FROM:04d}")
        return os.path.join(self.directory, f"segment-{segment:04d}")

    def shard(self, record):
        """The bytes of a shard as they lie in the segments."""
        data, left = b"", record.bytes
        for segment in record.segments:
            with open(self.segment_path(segment), "rb") as file:
                data += file.read(min(left, self.segment_bytes))
            left = record.bytes - len(data)
        return data

    def flip(self, record, offset):
        """Flips a bit of the shard's byte at offset, as a bad memory cell would."""
        path = self.segment_path(record.segments[offset // self.segment_bytes])
        flip(path, offset % self.segment_bytes)

    def flip_record(self, record, both=False):
        """Damages the newest copy of the slot's record, or both copies."""
        flip(self._index(), record.offset + 40)
        if both:
            other = record.offset + (PAGE if record.sequence % 2 == 0 else -PAGE)
            flip(self._index(), other + 40)

    def contains(self, pattern):
        """Names of the files in which the pattern is, whoever's they are."""
        found = []
        for name in sorted(os.listdir(self.directory)):
            with open(os.path.join(self.directory, name), "rb") as file:
                if os.fstat(file.fileno()).st_size == 0:
                    continue
                with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                    if view.find(pattern) >= 0:
                        found.append(name)
        return found


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))
