# SPDX-License-Identifier: Apache-2.0
"""What went wrong, as exceptions: one class for each thing that has to be done about it.

Every exception has `status`, the name that include/ckpt/status.h gives it, and `reason`, one line
of libckpt's about what, where, and what to do.
"""

from __future__ import annotations


class Error(Exception):
    """Any failure of ckptd. Training can go on after each."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason

    def __reduce__(self):
        return (type(self), (self.status, self.reason))


class UsageError(Error, ValueError):
    """The call is wrong and will be wrong again: a name, type, shape, step, rank or world."""


class StateError(UsageError):
    """A part of the training state is of a kind that is not saved; the reason names it."""


class Full(Error):
    """No room: in the arena until older checkpoints are retired, or in this process."""


class NoAgent(Error):
    """No agent answers. The next call tries to connect again."""


class Timeout(Error, TimeoutError):
    """Not yet; ask again."""


class NoCoordinator(NoAgent, Timeout):
    """Not in time, as the agent has no coordinator that answers. Ask again when one is back."""


class NoCheckpoint(Error):
    """The run has no consistent checkpoint: start from the beginning."""


class WorldChanged(Error):
    """The checkpoint was saved by another number of ranks."""


class Aborted(Error):
    """The checkpoint will never be consistent."""


class Diverged(Aborted):
    """Ranks differ in state that they said they hold alike: the next save must be each rank's own.
    """


class Lost(Error):
    """The checkpoint asked for is gone, or no good copy of a shard can be reached."""


_KINDS: dict[type[Error], tuple[str, ...]] = {
    UsageError: ("INVALID", "NAME", "DTYPE", "SIZE", "STEP", "RANK", "DENIED", "ATTEMPT", "BUSY"),
    Full: ("FULL", "TOO_LARGE", "MEMORY"),
    NoAgent: ("NO_AGENT", "LINK"),
    NoCoordinator: ("NO_COORDINATOR",),
    Timeout: ("TIMEOUT",),
    NoCheckpoint: ("NO_CHECKPOINT",),
    WorldChanged: ("WORLD",),
    Aborted: ("ABORTED", "DIGEST", "NO_DOMAIN"),
    Diverged: ("DIVERGED",),
    Lost: ("LOST", "RETIRED", "QUARANTINED", "NOT_FOUND", "CORRUPT"),
}
_BY_STATUS = {f"CKPT_ERR_{name}": kind for kind, names in _KINDS.items() for name in names}


def of_status(status: str, reason: str) -> Error:
    """The exception for a status' name; those that need no class of their own are plain Errors."""
    return _BY_STATUS.get(status, Error)(status, reason)
