# SPDX-License-Identifier: Apache-2.0
"""Tensors in a GPU's memory: copied into the agent's on a stream of their own.

libckpt copies those of CUDA, and proves them from the GPU's memory on (ckpt_save_device). Where it
cannot, torch does, and nothing is proven before the slot. For torch's copies the slot's memory is
registered with CUDA for as long as it is mapped, so that a copy is a transfer by the device's own
engine. The copy begins when what the current stream was given before is done,
and what the current stream is given later waits until the copy is done: neither is waited for by
this process. A thread seals the step when the last byte has arrived.
"""

from __future__ import annotations

import logging
import threading
import weakref
from typing import Any, Callable, Mapping, Sequence

import torch

from .context import Context, Table
from .errors import Error, NoAgent, Timeout
from .gpu_direct import GpuDirect, Part
from .library import C, ffi


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


class Pinned:
    """Slots' memory, registered with a device for as long as it is mapped.

    A registration that outlives its mapping is of memory that is gone: the next file at the
    address would be copied to by pages that are not its. So libckpt tells of both.
    """

    def __init__(self, register: Callable[[int, int], None],
                 unregister: Callable[[int], None]) -> None:
        self._register, self._unregister = register, unregister
        self._mapped: dict[int, tuple[int, int]] = {}  # {address: (bytes, generation)}
        self._pinned: dict[int, int] = {}  # {address: generation}
        self._refusal = ""

    def watch(self, address: int, size: int, generation: int, mapped: bool) -> None:
        """What Context.watch_mappings() calls."""
        if mapped:
            self._mapped[address] = (size, generation)
            return
        self._mapped.pop(address, None)
        if self._pinned.pop(address, None) is not None:
            try:
                self._unregister(address)
            except Error as error:
                _log.warning("%s", error)

    def pin(self, begin: int, end: int) -> None:
        """Registers the mapping that the addresses lie in. Refused, the copies still work, through
        a bounce buffer; a line in the log says so once."""
        for address, (size, generation) in self._mapped.items():
            if address <= begin and end <= address + size:
                if self._pinned.get(address) != generation:
                    self._try(address, size, generation)
                return

    def _try(self, address: int, size: int, generation: int) -> None:
        try:
            self._register(address, size)
            self._pinned[address] = generation
        except Error as error:
            if error.reason != self._refusal:
                self._refusal = error.reason
                _log.warning("copies from the GPU go through a bounce buffer: %s", error)


def _cuda_call(name: str, *arguments: int) -> None:
    """A call of CUDA's runtime. Error when it says one."""
    result = int(getattr(torch.cuda.cudart(), name)(*arguments))
    if result != 0:
        raise Error("CKPT_ERR_SYSTEM", f"{name} of {arguments[0]:#x} failed: CUDA error {result}")


class CudaEngine:
    """Copies by CUDA, on one stream for each device."""

    def __init__(self) -> None:
        self._streams: dict[torch.device, Any] = {}
        self._contexts: weakref.WeakKeyDictionary[Context, Pinned] = weakref.WeakKeyDictionary()
        self._refusal: str | None = None  # of libckpt: it is not asked again
        self._unproven = ""

    def stream(self, device: torch.device) -> int:
        """The current one, as CUDA knows it."""
        return int(torch.cuda.current_stream(device).cuda_stream)

    def mark(self, device: torch.device) -> Callable[[], None]:
        """What waits until the current stream has done what it was given so far."""
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(device))
        return event.synchronize

    def by_library(self, context: Context, step: int, places: Sequence[int],
                   sources: Sequence[torch.Tensor]) -> Callable[[], None] | None:
        """Has libckpt copy; what is returned waits for it. None: it cannot."""
        devices = {source.device for source in sources}
        if self._refusal is not None or len(devices) != 1:
            return None
        device, = devices
        try:
            context.save_device(step, [(place, source.data_ptr())
                                       for place, source in zip(places, sources)],
                                self.stream(device))
        except (NoAgent, Timeout):
            raise  # the save is over
        except Error as error:
            if error.status == "CKPT_ERR_INVALID":
                raise  # as of a stream that captures: torch's copies would be no better
            self._refusal = str(error)
            _log.warning("copies from the GPU are torch's, and not proven: %s", error)
            return None
        wait = self.mark(device)  # what the stream is given now waits for the copies

        def finish(kept: Sequence[torch.Tensor] = sources) -> None:
            wait()

        return finish

    def look(self, context: Context) -> None:
        """Says what stands in the way of a proof, once."""
        report = context.device_report()
        if report.reason != self._unproven:
            self._unproven = report.reason
            if report.reason:
                _log.warning("copies from the GPU are not proven: %s", report.reason)
        if report.nans or report.infinities:
            _log.warning("the state that was saved has %d NaN and %d infinities", report.nans,
                         report.infinities)

    def register(self, context: Context, begin: int, end: int) -> None:
        """Pins the slot's memory for the device."""
        pinned = self._contexts.get(context)
        if pinned is None:
            pinned = self._contexts[context] = Pinned(
                lambda address, size: _cuda_call("cudaHostRegister", address, size, 0),
                lambda address: _cuda_call("cudaHostUnregister", address))
            context.watch_mappings(pinned.watch)
        pinned.pin(begin, end)

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
    buffer = ffi.buffer(ffi.cast(C["char *"], address), size)
    return torch.frombuffer(buffer, dtype=like.dtype).reshape(like.shape)


def _start_copies(engine: Any, context: Context, addresses: Sequence[int],
                  sources: Sequence[torch.Tensor]) -> Callable[[], None]:
    engine.register(context, min(addresses),
                    max(address + source.numel() * source.element_size()
                        for address, source in zip(addresses, sources)))
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
                      sources: Sequence[torch.Tensor], direct: GpuDirect | None = None,
                      word: Any = None) -> DeviceCopy:
    """Begins a save of which some tensors are a device's. `sources` are the table's first. With
    `direct` the agent reads CUDA's before this returns, where it can. `word`, of shares.py, is said
    once its bytes, copied along, have come."""
    kinds = {source.device.type for source in sources if source.device.type != "cpu"}
    strange = kinds - set(_engines)
    if strange:
        raise Error("CKPT_ERR_INVALID", f"tensors on {', '.join(sorted(strange))} cannot be saved: "
                                        "move them to the CPU or to CUDA")
    addresses = context.save_begin(step, table, metadata)
    looks: list[Callable[[Context], None]] = []
    try:
        waits = []
        for kind in kinds:
            places = [place for place, source in enumerate(sources)
                      if source.device.type == kind and source.numel() > 0]
            mine = [sources[place] for place in places]
            if kind == "cuda" and direct is not None and _gather(
                    direct, _engines[kind], context, step, places, mine):
                continue
            engine = _engines[kind]
            wait = engine.by_library(context, step, places, mine) if mine else None
            if wait is not None:
                waits.append(wait)
                looks.append(engine.look)
                continue
            waits.append(_start_copies(_engines[kind], context,
                                       [addresses[place] for place in places],
                                       mine))
        if word is not None:
            waits += [_engines[kind].start(pairs) for kind, pairs in word.pairs().items()]
    except (NoAgent, Timeout):
        raise  # of a gather: the save is over
    except BaseException:
        context.save_cancel(step)
        raise

    def finish() -> None:
        try:
            for wait in waits:
                wait()
            if word is not None:
                word.say()
        except BaseException:
            context.save_cancel(step)
            raise
        context.save_end(step)
        for look in looks:
            look(context)

    return DeviceCopy(finish)
