# SPDX-License-Identifier: Apache-2.0
"""Tensors in a GPU's memory: copied into the agent's on a stream of their own.

The slot's memory is registered with CUDA once, when it is first seen, so that a copy is a transfer
by the device's own engine. The copy begins when what the current stream was given before is done,
and what the current stream is given later waits until the copy is done: neither is waited for by
this process. A thread seals the step when the last byte has arrived.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Callable, Mapping, Sequence

import torch

from .context import Context, Table
from .errors import Error, NoAgent, Timeout
from .gpu_direct import GpuDirect, Part
from .library import ffi


_log = logging.getLogger("ckptd")


class DeviceCopy:
    """A save whose bytes are still on their way."""

    def __init__(self, finish: Callable[[], None]) -> None:
        self._done = threading.Event()
        self._error: Error | None = None
        self._finish = finish
        self._thread = threading.Thread(target=self._run, name="ckptd-copy", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._finish()
        except Error as error:
            self._error = error
        except Exception as error:  # of CUDA: the save has failed, training says it by itself
            self._error = Error("CKPT_ERR_SYSTEM", f"the copy from the GPU failed: {error}")
        finally:
            self._done.set()

    def is_done(self) -> bool:
        return self._done.is_set()

    def wait(self, timeout: float | None) -> Error | None:
        """The error that the copy ended with, or None. Raises Timeout."""
        if not self._done.wait(timeout):
            raise Timeout("CKPT_ERR_TIMEOUT", "the copy from the GPU is not done yet: ask again")
        return self._error


class CudaEngine:
    """Copies by CUDA, on one stream for each device."""

    def __init__(self) -> None:
        self._streams: dict[torch.device, Any] = {}
        self._registered: dict[int, int] = {}

    def register(self, address: int, size: int) -> None:
        """Pins memory for the device. Refused, the copies still work, through a bounce buffer."""
        if self._registered.get(address, 0) >= size:
            return
        if address in self._registered:
            torch.cuda.cudart().cudaHostUnregister(address)
        torch.cuda.cudart().cudaHostRegister(address, size, 0)
        self._registered[address] = size

    def finish_work(self, devices: set[torch.device]) -> None:
        """Waits for what the current streams were given."""
        for device in devices:
            torch.cuda.current_stream(device).synchronize()

    def start(self, pairs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> Callable[[], None]:
        """Begins to copy each second tensor into the first; what is returned waits for it."""
        events = []
        for device in {source.device for _, source in pairs}:
            current = torch.cuda.current_stream(device)
            stream = self._streams.setdefault(device, torch.cuda.Stream(device))
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                for target, source in pairs:
                    if source.device == device:
                        target.copy_(source, non_blocking=True)
                        source.record_stream(stream)
                event = torch.cuda.Event()
                event.record(stream)
            current.wait_event(event)
            events.append(event)

        def wait() -> None:
            for event in events:
                event.synchronize()

        return wait


_engines: dict[str, Any] = {"cuda": CudaEngine()}


def _memory(address: int, like: torch.Tensor) -> torch.Tensor:
    """A tensor over the slot's memory."""
    size = like.numel() * like.element_size()
    buffer = ffi.buffer(ffi.cast("char *", address), size)
    return torch.frombuffer(buffer, dtype=like.dtype).reshape(like.shape)


def _start_copies(engine: Any, addresses: Sequence[int],
                  sources: Sequence[torch.Tensor]) -> Callable[[], None]:
    begin = min(addresses)
    end = max(address + source.numel() * source.element_size()
              for address, source in zip(addresses, sources))
    engine.register(begin - begin % 4096, end - (begin - begin % 4096))
    return engine.start([(_memory(address, source), source)
                         for address, source in zip(addresses, sources)])


def _gather(direct: GpuDirect, engine: Any, context: Context, step: int, places: Sequence[int],
            sources: Sequence[torch.Tensor]) -> bool:
    """Whether the agent has read them all."""
    if direct.refusal is not None:
        return False
    engine.finish_work({source.device for source in sources})
    gathered = direct.gather(context, step, [
        Part(place, source.data_ptr(), source.numel() * source.element_size())
        for place, source in zip(places, sources)])
    if not gathered:
        _log.warning("GPU memory is copied through the host from now on: %s", direct.refusal)
    return gathered


def copy_from_devices(context: Context, step: int, table: Table, metadata: Mapping[str, str],
                      sources: Sequence[torch.Tensor],
                      direct: GpuDirect | None = None) -> DeviceCopy:
    """Begins a save of which some tensors are a device's. `sources` are the table's first. With
    `direct` the agent reads CUDA's before this returns, where it can."""
    kinds = {source.device.type for source in sources if source.device.type != "cpu"}
    strange = kinds - set(_engines)
    if strange:
        raise Error("CKPT_ERR_INVALID", f"tensors on {', '.join(sorted(strange))} cannot be saved: "
                                        "move them to the CPU or to CUDA")
    addresses = context.save_begin(step, table, metadata)
    try:
        waits = []
        for kind in kinds:
            places = [place for place, source in enumerate(sources)
                      if source.device.type == kind and source.numel() > 0]
            mine = [sources[place] for place in places]
            if kind == "cuda" and direct is not None and _gather(
                    direct, _engines[kind], context, step, places, mine):
                continue
            waits.append(_start_copies(_engines[kind], [addresses[place] for place in places],
                                       mine))
    except (NoAgent, Timeout):
        raise  # of a gather: the save is over
    except BaseException:
        context.save_cancel(step)
        raise

    def finish() -> None:
        try:
            for wait in waits:
                wait()
        except BaseException:
            context.save_cancel(step)
            raise
        context.save_end(step)

    return DeviceCopy(finish)
