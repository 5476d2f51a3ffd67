# SPDX-License-Identifier: Apache-2.0
"""Which steps are saved, and which of them is the best so far."""

from __future__ import annotations

import math
from typing import NamedTuple

from .errors import UsageError


class Best(NamedTuple):
    """A step, and the metric that it was saved with."""

    step: int
    metric: float


class Choice:
    """Every so many steps, and each that is better than all before, by a metric."""

    def __init__(self, every: int = 1, best: str | None = None) -> None:
        if every < 1 or best not in (None, "min", "max"):
            raise UsageError("CKPT_ERR_INVALID", "every is a number from 1, and best is \"min\", "
                                                 f"\"max\" or None: not {every!r}, {best!r}")
        self.every, self.kind = every, best
        self.best: Best | None = None

    def refusal(self, step: int, metric: float | None) -> str | None:
        """Why a step is not saved; None when it is."""
        if self.is_better(metric) or step % self.every == 0:
            return None
        return f"step {step} is not saved: every {self.every}th is" + (
            ", and those that are better than all before" if self.kind else "")

    def is_better(self, metric: float | None) -> bool:
        if metric is None or self.kind is None or math.isnan(metric):
            return False
        if self.best is None:
            return True
        return metric < self.best.metric if self.kind == "min" else metric > self.best.metric
