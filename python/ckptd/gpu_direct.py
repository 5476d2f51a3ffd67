# SPDX-License-Identifier: Apache-2.0
"""GPU memory that the agent reads: by its NIC, from a dma-buf, in place of a copy by the GPU.

The driver's own calls find the allocation behind a tensor and export it (CUDA driver API,
cuMemGetAddressRange and cuMemGetHandleForAddressRange). The descriptors are closed after each save:
one that is kept would keep memory that PyTorch has given back.
"""

from __future__ import annotations

import os
from typing import Any, Iterable, NamedTuple, Sequence

import cffi

from .context import Context
from .errors import Error, NoAgent, Timeout

_PAGE = 4096  # the host's: a range that is exported begins and ends with one
_DMA_BUF = 1  # CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD

_ffi = cffi.FFI()
_ffi.cdef("""
int cuMemGetAddressRange_v2(uint64_t *base, size_t *bytes, uint64_t address);
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
    """The two calls of libcuda.so.1, which a process that uses CUDA has loaded already."""

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

    def export(self, allocation: Allocation) -> int:
        """A descriptor of the allocation, which the caller closes."""
        handle = _ffi.new("int *", -1)
        begin = allocation.base - allocation.base % _PAGE
        size = allocation.base + allocation.size - begin
        result = self._cuda.cuMemGetHandleForAddressRange(
            handle, begin, size + -size % _PAGE, _DMA_BUF, 0)
        if result != 0:
            raise NoDmaBuf(f"cuMemGetHandleForAddressRange: CUDA error {result}")
        return handle[0]


def by_allocation(driver: Driver, parts: Iterable[Part]) -> dict[Allocation, list[Part]]:
    """Which parts lie in which allocation. Neighbours are mostly in one: each is asked for once."""
    found: dict[Allocation, list[Part]] = {}
    last = Allocation(0, 0)
    for part in sorted(parts, key=lambda part: part.address):
        if part.address + part.size > last.base + last.size:
            last = driver.allocation(part.address)
        found.setdefault(last, []).append(part)
    return found


class GpuDirect:
    """Saves' device tensors by the agent, until it is found that it cannot."""

    def __init__(self, driver: Driver | None = None) -> None:
        self._driver = driver
        self.refusal: str | None = None

    def gather(self, context: Context, step: int, parts: Sequence[Part]) -> bool:
        """Whether all parts are in the slot now. False: they are to be copied, and `refusal` says
        why; nothing is tried again. What writes to the parts must have ended before. Raises when
        the save is over."""
        if self.refusal is not None:
            return False
        try:
            self._driver = self._driver or Driver()
            for allocation, inside in by_allocation(self._driver, parts).items():
                self._gather(context, step, allocation, inside)
        except (Timeout, NoAgent):
            raise
        except (Error, NoDmaBuf) as error:
            self.refusal = str(error)
        return self.refusal is None

    def _gather(self, context: Context, step: int, allocation: Allocation,
                inside: Sequence[Part]) -> None:
        assert self._driver is not None
        begin = allocation.base - allocation.base % _PAGE
        descriptor = self._driver.export(allocation)
        try:
            context.save_gather(step, descriptor,
                                [(part.index, part.address - begin) for part in inside])
        finally:
            os.close(descriptor)
