# SPDX-License-Identifier: Apache-2.0
"""No way at all: a memcpy from memory that both share. What nobody can pass."""

from multiprocessing import shared_memory

import numpy

from moving.pair import fill


class Source:
    def __init__(self, count):
        self.shared = shared_memory.SharedMemory(create=True, size=count)
        numpy.ndarray(count, numpy.uint8, self.shared.buf)[:] = fill(count)
        self.card = self.shared.name

    def close(self):
        self.shared.close()
        self.shared.unlink()


class Reader:
    def __init__(self, count, card):
        self.shared = shared_memory.SharedMemory(name=card)
        self.there = numpy.ndarray(count, numpy.uint8, self.shared.buf)
        self.here = numpy.zeros(count, numpy.uint8)

    def read(self):
        self.here[:] = self.there

    def view(self):
        return self.here

    def close(self):
        del self.there
        self.shared.close()
