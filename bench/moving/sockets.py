# SPDX-License-Identifier: Apache-2.0
"""One TCP connection and the kernel: sendall at one end, recv_into at the other."""

import socket
import threading

import numpy

from moving.pair import fill

BUFFER_BYTES = 4 << 20


class Source:
    def __init__(self, count):
        self.memory = memoryview(fill(count))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.card = self.listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        reader, _ = self.listener.accept()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        while reader.recv(1):
            reader.sendall(self.memory)


class Reader:
    def __init__(self, count, card):
        self.here = numpy.zeros(count, numpy.uint8)
        self.source = socket.create_connection(card)
        self.source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)

    def read(self):
        left = memoryview(self.here)
        self.source.sendall(b"r")
        while left:
            left = left[self.source.recv_into(left):]

    def view(self):
        return self.here
