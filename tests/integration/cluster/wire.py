# SPDX-License-Identifier: Apache-2.0
"""The control protocol, written again from docs/formats.md, so that a test can speak it rightly
and wrongly.

Frames are built field by field: nothing here stops a caller from building one that breaks every
rule.
"""

import array
import json
import os
import socket
import struct
import time

MAGIC = b"CKPT"
VERSION = 1
HEADER = struct.Struct("<4sHHIQ16sQI")
LATEST = 2**64 - 1
ANY_USER = 2**32 - 1

RANK_OPEN, RANK_OPENED, SLOT_ASK, SLOT_GRANTED, SEAL, ABANDON, SAVE_OUTCOME = 1, 2, 3, 4, 5, 6, 7
LOAD_ASK, LOAD_VERDICT, LOADED, RELEASE, CHECKPOINT_ASK, CHECKPOINT_INFO = 8, 9, 10, 11, 12, 13
GATHER, GATHERED = 16, 17
JOIN, WELCOME, SHARD_REPORT, PULL_ORDER, OFFER_ASK, OFFER = 20, 21, 24, 26, 40, 41
ADMIN_ASK, ADMIN_ANSWER = 50, 51

VERBS = {
    "status": 1,
    "nodes": 2,
    "runs": 3,
    "list": 4,
    "show": 5,
    "verify": 6,
    "retire": 7,
    "placement": 8,
}


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _crc_table()


def crc32c(*parts):
    crc = 0xFFFFFFFF
    for part in parts:
        for byte in part:
            crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def body(**fields):
    """Protobuf: body(f1=7, f2=b"name", f7=[1, 2])."""
    out = bytearray()
    for name, value in fields.items():
        number = int(name[1:])
        if isinstance(value, list):
            packed = b"".join(varint(entry) for entry in value)
            out += varint(number << 3 | 2) + varint(len(packed)) + packed
        elif isinstance(value, (bytes, bytearray)):
            out += varint(number << 3 | 2) + varint(len(value)) + value
        else:
            out += varint(number << 3) + varint(int(value))
    return bytes(out)


def parse(data):
    """A protobuf body as {number: last value}."""
    fields, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            fields[key >> 3] = number()
        elif key & 7 == 2:
            length = number()
            fields[key >> 3] = data[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {key & 7}")
    return fields


def frame(
    kind,
    data=b"",
    *,
    incarnation=b"\x01" * 16,
    sequence=1,
    epoch=0,
    version=VERSION,
    magic=MAGIC,
    length=None,
    crc=None,
):
    head = HEADER.pack(
        magic,
        version,
        kind,
        len(data) if length is None else length,
        epoch,
        incarnation,
        sequence,
        0,
    )
    return head[:-4] + struct.pack("<I", crc32c(head, data) if crc is None else crc) + data


class Closed(Exception):
    """The other side closed the connection."""


class Client:
    """A connection to a UNIX or TCP socket of a daemon, with frames."""

    def __init__(self, address, timeout=10):
        if isinstance(address, str) and "/" in address:
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            host, port = address.rsplit(":", 1)
            address = (host, int(port))
            self.socket = socket.socket(socket.AF_INET)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.incarnation = os.urandom(16)
        self.sequence = 0
        self.input = b""
        self.descriptors = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []
        self.socket.close()

    def send_raw(self, data, descriptors=()):
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            if descriptors
            else []
        )
        try:
            sent = self.socket.sendmsg([data], rights)
            if sent < len(data):
                self.socket.sendall(data[sent:])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed() from error

    def send(self, kind, data=b"", descriptors=(), **header):
        self.sequence += 1
        header.setdefault("sequence", self.sequence)
        header.setdefault("incarnation", self.incarnation)
        self.send_raw(frame(kind, data, **header), descriptors)

    def receive(self, timeout=10):
        """(type, body) of the next frame; descriptors that came are added to self.descriptors."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self.input) >= HEADER.size:
                _, _, kind, length, _, _, _, _ = HEADER.unpack(self.input[: HEADER.size])
                if len(self.input) >= HEADER.size + length:
                    data = self.input[HEADER.size : HEADER.size + length]
                    self.input = self.input[HEADER.size + length :]
                    return kind, data
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data, rights, _, _ = self.socket.recvmsg(1 << 16, 1 << 13)
            except ConnectionResetError as error:
                raise Closed() from error
            for level, sort, value in rights:
                if level == socket.SOL_SOCKET and sort == socket.SCM_RIGHTS:
                    self.descriptors += array.array("i", value[: len(value) // 4 * 4])
            if not data:
                raise Closed()
            self.input += data

    def ask(self, kind, data, answer, timeout=10):
        """Sends, and returns the parsed body of the next frame of type `answer`."""
        self.send(kind, data)
        deadline = time.monotonic() + timeout
        while True:
            got, data = self.receive(deadline - time.monotonic())
            if got == answer:
                return parse(data)

    def is_closed(self, timeout=5):
        """Whether the other side closes within the time-out, whatever it says before."""
        try:
            while True:
                self.receive(timeout)
        except Closed:
            return True
        except (socket.timeout, TimeoutError):
            return False


class AdminError(Exception):
    def __init__(self, status, reason):
        super().__init__(f"status {status}: {reason}")
        self.status = status
        self.reason = reason


def admin(address, verb, run=None, step=0, newer=False, uid=ANY_USER, timeout=10):
    """What ckptctl asks of the coordinator: the JSON document of the answer."""
    key = body(f1=uid, f2=(run or "").encode()) if run is not None else body(f1=0, f2=b"")
    with Client(address, timeout) as client:
        answer = client.ask(
            ADMIN_ASK, body(f1=VERBS[verb], f2=1, f3=key, f4=step, f5=newer), ADMIN_ANSWER, timeout
        )
    if answer.get(2, 0) != 0:
        raise AdminError(answer[2], answer.get(3, b"").decode())
    return json.loads(answer.get(4, b"{}"))
