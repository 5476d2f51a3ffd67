# SPDX-License-Identifier: Apache-2.0
"""What a rank says with its saves of what it holds alike with others, and what becomes of that."""

from __future__ import annotations

import logging
from collections import deque

import torch

from .context import Context
from .errors import Diverged, Error
from .sharing import PARTS, Share

_log = logging.getLogger("ckptd")
_WATCHED = 4  # saves whose outcome is looked for


def _host_memory(size: int, kind: str) -> torch.Tensor:
    """Where a device of a kind copies to without waiting."""
    return torch.empty(size, dtype=torch.uint8, pin_memory=kind == "cuda")


class Word:
    """What is said with one save: a value of one part."""

    def __init__(self, context: Context, step: int, share: Share, number: int) -> None:
        self._context, self._step, self._share = context, step, share
        self._part = number % PARTS
        self._memory: list[tuple[torch.Tensor, int, int]] = []
        self._pairs: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        for tensor, begin, end in share.part(self._part):
            if tensor.device.type != "cpu":
                raw = tensor.reshape(-1).view(torch.uint8)[begin:end]
                host = _host_memory(end - begin, tensor.device.type)
                self._pairs.setdefault(tensor.device.type, []).append((host, raw))
                tensor, begin, end = host, 0, end - begin
            self._memory.append((tensor, begin, end))

    def pairs(self) -> dict[str, list[tuple[torch.Tensor, torch.Tensor]]]:
        """{kind of device: (memory of the CPU, what is to be copied there) before say()}."""
        return self._pairs

    def say(self) -> None:
        """Before the save is sealed."""
        value = self._share.value_of([(tensor.data_ptr() + begin, end - begin)
                                      for tensor, begin, end in self._memory])
        self._context.save_replica(self._step, self._share.leader, self._part, value)


class Shares:
    """Counts the saves, and finds out whether ranks have diverged."""

    def __init__(self, run: str) -> None:
        self._run = run
        self.count = 0  # of saves that were asked for, so that all ranks look at one part
        self._steps: deque[int] = deque(maxlen=_WATCHED)

    def word(self, context: Context, step: int, share: Share | None) -> Word | None:
        """What to say with a save; None where all that is held is staged."""
        if share is None:
            return None
        self._steps.append(step)
        return Word(context, step, share, self.count)

    def have_diverged(self, context: Context) -> bool:
        """Whether a save of shares was refused, so that each rank has to save all that it holds.
        Looks, and does not wait."""
        for step in list(self._steps):
            try:
                if context.is_consistent(step):
                    self._steps.remove(step)
            except Diverged as error:
                _log.error("run %s, rank %d: from now on each rank saves all that it holds, as "
                           "step %d was refused: %s", self._run, context.rank, step, error.reason)
                return True
            except Error:
                self._steps.remove(step)  # the save's own handle tells
        return False
