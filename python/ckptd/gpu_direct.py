# SPDX-License-Identifier: Apache-2.0
"""GPU memory that the agent reads: by its NIC, from a dma-buf, in place of a copy by the GPU.

The driver's own calls say what lies behind a tensor and export it (CUDA driver API,
cuMemGetAddressRange, cuPointerGetAttribute and cuMemGetHandleForAddressRange). What is exported is
the range that is needed, in whole pages of the host's: with PyTorch's expandable segments a tensor
lies over several allocations that follow each other, each of 20 MiB, and none of them is all of it.
The descriptors are closed after each save: one that is kept would keep memory that PyTorch has
given back.
"""

from __future__ import annotations

import os
from typing import Any, Iterable, NamedTuple, Sequence

import cffi

from .context import Context
from .errors import Error, NoAgent, Timeout

_DMA_BUF = 1  # CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD
_IS_MANAGED, _MEMPOOL = 8, 17  # CU_POINTER_ATTRIBUTE_...

_ffi = cffi.FFI()
_ffi.cdef("""
int cuMemGetAddressRange_v2(uint64_t *base, size_t *bytes, uint64_t address);
int cuPointerGetAttribute(void *data, int attribute, uint64_t address);
int cuMemGetHandleForAddressRange(void *handle, uint64_t address, size_t bytes, int type,
                                  unsigned long long flags);
""")


class Part(NamedTuple):
    """A tensor of the save: its place in the table, and where it lies on the device."""

    index: int
    address: int
    size: int


class Allocation(NamedTuple):
    base: int
    size: int


class NoDmaBuf(Exception):
    """The driver exports none of this memory."""


class Driver:
    """The calls of libcuda.so.1, which a process that uses CUDA has loaded already."""

    def __init__(self, library: Any = None) -> None:
        try:
            self._cuda = library or _ffi.dlopen("libcuda.so.1")
        except OSError as error:
            raise NoDmaBuf(str(error)) from error

    def allocation(self, address: int) -> Allocation:
        base, size = _ffi.new("uint64_t *"), _ffi.new("size_t *")
        result = self._cuda.cuMemGetAddressRange_v2(base, size, address)
        if result != 0:
            raise NoDmaBuf(f"cuMemGetAddressRange: CUDA error {result}")
        return Allocation(base[0], size[0])

    def refusal(self, address: int) -> str | None:
        """Why memory is not to be exported, though the driver might try; None when it may be."""
        for attribute, kind in ((_IS_MANAGED, "managed memory, which moves"),
                                (_MEMPOOL, "of a stream-ordered pool, which no dma-buf can be of")):
            value = _ffi.new("uint64_t *", 0)
            result = self._cuda.cuPointerGetAttribute(value, attribute, address)
            if result == 0 and value[0] != 0:
                return f"the memory at {address:#x} is {kind}"
        return None

    def export(self, begin: int, size: int) -> int:
        """A descriptor of whole pages of device memory, which the caller closes."""
        handle = _ffi.new("int *", -1)
        result = self._cuda.cuMemGetHandleForAddressRange(handle, begin, size, _DMA_BUF, 0)
        if result != 0:
            raise NoDmaBuf(f"cuMemGetHandleForAddressRange: CUDA error {result}")
        return handle[0]


class Range(NamedTuple):
    """Device memory that is exported at once, in whole pages, and the parts in it."""

    begin: int
    size: int
    parts: list[Part]


def ranges(driver: Driver, parts: Iterable[Part], page: int) -> list[Range]:
    """What to export. Neighbours are mostly in one allocation, or in some that follow each other:
    each is asked for once. NoDmaBuf for memory that cannot be exported, before anything is."""
    found: list[tuple[int, int, list[Part]]] = []
    mapped = 0  # up to where memory is known to follow
    for part in sorted(parts, key=lambda part: part.address):
        end = part.address + part.size
        if not found or part.address >= mapped:
            found.append((part.address, end, []))
            mapped = part.address
        while mapped < end:
            allocation = driver.allocation(mapped)
            refusal = driver.refusal(mapped)
            if refusal is not None:
                raise NoDmaBuf(refusal)
            mapped = allocation.base + allocation.size
        begin, last, inside = found[-1]
        inside.append(part)
        found[-1] = (begin, max(last, end), inside)
    return [Range(begin - begin % page, last + -last % page - (begin - begin % page), inside)
            for begin, last, inside in found]


class GpuDirect:
    """Saves' device tensors by the agent, until it is found that it cannot."""

    def __init__(self, driver: Driver | None = None) -> None:
        self._driver = driver
        self._page = os.sysconf("SC_PAGESIZE")
        self.refusal: str | None = None

    def gather(self, context: Context, step: int, parts: Sequence[Part]) -> bool:
        """Whether all parts are in the slot now. False: they are to be copied, and `refusal` says
        why; nothing is tried again. What writes to the parts must have ended before. Raises when
        the save is over."""
        if self.refusal is not None:
            return False
        try:
            self._driver = self._driver or Driver()
            for one in ranges(self._driver, parts, self._page):
                self._gather(context, step, one)
        except (Timeout, NoAgent):
            raise
        except (Error, NoDmaBuf) as error:
            self.refusal = str(error)
        return self.refusal is None

    def _gather(self, context: Context, step: int, one: Range) -> None:
        assert self._driver is not None
        descriptor = self._driver.export(one.begin, one.size)
        try:
            context.save_gather(step, descriptor,
                                [(part.index, part.address - one.begin) for part in one.parts])
        finally:
            os.close(descriptor)
