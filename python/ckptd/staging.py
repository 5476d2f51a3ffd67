# SPDX-License-Identifier: Apache-2.0
"""One table for libckpt: the registered tensors, told once, and what changes with every save."""

from __future__ import annotations

from typing import Any

import torch

from . import plain
from .context import Table, Tensor
from .entries import Entry
from .errors import Error, StateError
from .library import C, ffi
from .registered import Registered
from .restored import STATE, VERSION
from .sharing import SHARES, Piece, Share
from .boxes import Box, sharding_metadata
from .tensors import dense, describe

_SPARE_AT_FIRST = 4


class Rest:
    """What changes with every save: the state that is no tensor, as JSON, and the tensors that are
    taken out of it. Holds their memory."""

    def __init__(self, registered: Registered, rest: dict[str, Any]) -> None:
        self._taken: dict[str, torch.Tensor] = {}
        state = {"version": VERSION, **registered.plain(self._take),
                 "rest": {key: plain.split(value, key, self._take) for key, value in rest.items()}}
        self._line = plain.dumps(state)
        self._memory = ffi.from_buffer(self._line)
        size = len(self._line)
        self.tensors = [Tensor(STATE, "U8", (size,), int(ffi.cast(C["uintptr_t"], self._memory)),
                               size)]
        self.tensors += [describe(path, tensor) for path, tensor in self._taken.items()]
        self.boxes = [(STATE, Box((0,), (size,)))]
        self.boxes += [(path, Box((0,) * tensor.dim(), tuple(tensor.shape)))
                       for path, tensor in self._taken.items()]

    def _take(self, path: str, value: torch.Tensor) -> bool:
        if path in self._taken or path == STATE:
            raise StateError("CKPT_ERR_NAME", f"two parts of the state are both called {path}")
        self._taken[path] = dense(value)
        return True


class Layout:
    """The table of a registration, with spare places for what changes. With a share, what other
    ranks hold alike is staged as far as that goes."""

    def __init__(self, entries: list[Entry], spare: int, share: Share | None = None) -> None:
        self.share = share
        pieces = [Piece(entry) for entry in entries
                  if entry.local.numel() > 0 or entry.box.count == 0]
        if share is not None:
            shared = {entry.name for entry in share.entries}
            pieces = [share.pieces.get(piece.name, piece) for piece in pieces
                      if piece.name not in shared or piece.name in share.pieces]
        self.pieces = pieces
        self.spare = max(_SPARE_AT_FIRST, spare)
        self._sources = [piece.source for piece in pieces]
        self.on_device = any(source.device.type != "cpu" for source in self._sources)
        tensors = [describe(piece.name, source, source.device.type != "cpu")
                   for piece, source in zip(pieces, self._sources)]
        boxes = [(piece.name, piece.box) for piece in pieces]
        if share is not None:
            size = len(share.text)
            tensors.append(Tensor(SHARES, "U8", (size,), int(ffi.cast("uintptr_t", share.memory)),
                                  size))
            boxes.append((SHARES, Box((0,), (size,))))
        self._boxes, self._fixed = boxes, len(tensors)
        self.table = Table(tensors + [Tensor(STATE, "U8", (0,), 0, 0)] * self.spare)
        self._scratched = [piece for piece in pieces if piece.entry.scratch is not None]
        self._described: Any = None
        self._metadata: dict[str, str] = {}

    def put(self, rest: Rest) -> dict[str, str]:
        """Says the rest in the spare places; the shard's metadata."""
        if len(rest.tensors) > self.spare:
            raise Error("CKPT_ERR_INTERNAL", "the table is too small")
        for index, tensor in enumerate(rest.tensors, self._fixed):
            self.table.put(index, tensor)
        self.table.count = self._fixed + len(rest.tensors)
        for piece in self._scratched:
            piece.refresh()
        names = [(name, len(box.sizes)) for name, box in rest.boxes]
        if names != self._described:
            self._described = names
            self._metadata = sharding_metadata(
                self._boxes + rest.boxes,
                {piece.name: piece.whole for piece in self.pieces if piece.whole is not None})
        return self._metadata

    def sources(self) -> list[torch.Tensor]:
        return self._sources
