# SPDX-License-Identifier: Apache-2.0
"""One rank of a training job: libckpt through ctypes, nothing but the public header.

Usage: rank.py save LIBRARY SOCKET RANK WORLD ATTEMPT SHARD FOLDER STEP...
           Trains (one step of weight decay) and saves, STEP after STEP. What was saved is also
           written to FOLDER/step-STEP/rank-RANK.safetensors, to be compared with.
       rank.py load LIBRARY SOCKET RANK WORLD ATTEMPT FOLDER
           Restores the newest checkpoint; writes FOLDER/rank-RANK.safetensors.
"""
import array
import ctypes
import json
import os
import struct
import sys
import time

RUN = b"minilm"
LATEST = 2**64 - 1
TIMEOUT_MS = 30000


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("socket", ctypes.c_char_p), ("run", ctypes.c_char_p),
                ("attempt", ctypes.c_uint32), ("rank", ctypes.c_uint32),
                ("world", ctypes.c_uint32), ("copies", ctypes.c_uint32),
                ("timeout_ms", ctypes.c_uint32), ("copy_threads", ctypes.c_uint32),
                ("reader", ctypes.c_bool)]


class Shard(ctypes.Structure):
    _fields_ = [("step", ctypes.c_uint64), ("attempt", ctypes.c_uint32), ("rank", ctypes.c_uint32),
                ("world", ctypes.c_uint32), ("data", ctypes.c_void_p), ("bytes", ctypes.c_uint64),
                ("digest", ctypes.c_uint8 * 32), ("tensor_count", ctypes.c_size_t),
                ("private_state", ctypes.c_void_p)]


class Rank:
    def __init__(self, library, socket, rank, world, attempt):
        self.rank = int(rank)
        self.library = ctypes.CDLL(library)
        self.library.ckpt_reason.restype = ctypes.c_char_p
        self.context = ctypes.c_void_p()
        options = Options(size=ctypes.sizeof(Options), socket=socket.encode(), run=RUN,
                          attempt=int(attempt), rank=self.rank, world=int(world), copies=2,
                          timeout_ms=TIMEOUT_MS)
        reason = ctypes.create_string_buffer(512)
        if self.library.ckpt_open_reason(ctypes.byref(options), ctypes.byref(self.context), reason,
                                         ctypes.c_size_t(len(reason))):
            sys.exit(f"rank {rank}: {reason.value.decode()}")

    def call(self, function, *arguments):
        if getattr(self.library, function)(self.context, *arguments):
            reason = self.library.ckpt_reason(self.context).decode()
            sys.exit(f"rank {self.rank}: {function}: {reason}")

    def save(self, step, data):
        begin = time.monotonic()
        self.call("ckpt_save_shard", ctypes.c_uint64(step),
                  (ctypes.c_char * len(data)).from_buffer(data), ctypes.c_uint64(len(data)))
        return time.monotonic() - begin

    def wait(self, step):
        self.call("ckpt_wait", ctypes.c_uint64(step), ctypes.c_uint32(TIMEOUT_MS))

    def load(self):
        shard = Shard()
        self.call("ckpt_load", ctypes.c_uint64(LATEST), ctypes.c_uint32(TIMEOUT_MS),
                  ctypes.byref(shard))
        return shard

    def close(self):
        self.library.ckpt_close(ctypes.byref(self.context))


def train(data):
    """Weight decay on every float of the shard, in place."""
    header_bytes = 8 + struct.unpack("<Q", data[:8])[0]
    for name, entry in json.loads(data[8:header_bytes]).items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = (header_bytes + offset for offset in entry["data_offsets"])
        weights = array.array("f")
        weights.frombytes(data[begin:end])
        data[begin:end] = array.array("f", [weight * 0.9999 for weight in weights]).tobytes()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def save(rank, shard, folder, steps):
    with open(shard, "rb") as file:
        data = bytearray(file.read())
    for step in steps:
        train(data)
        stall = rank.save(int(step), data)
        write(os.path.join(folder, f"step-{step}", f"rank-{rank.rank}.safetensors"), data)
        rank.wait(int(step))
        print(f"rank {rank.rank}: step {step}: {len(data)} bytes, the trainer stood still for "
              f"{stall * 1000:.1f} ms", flush=True)


def load(rank, folder):
    begin = time.monotonic()
    shard = rank.load()
    took = time.monotonic() - begin
    write(os.path.join(folder, f"rank-{rank.rank}.safetensors"),
          ctypes.string_at(shard.data, shard.bytes))
    print(f"rank {rank.rank}: restored step {shard.step}: {shard.tensor_count} tensors, "
          f"{shard.bytes} bytes in {took * 1000:.0f} ms", flush=True)


def main():
    verb, arguments = sys.argv[1], sys.argv[7:]
    rank = Rank(*sys.argv[2:7])
    if verb == "save":
        save(rank, arguments[0], arguments[1], arguments[2:])
    else:
        load(rank, arguments[0])
    rank.close()


if __name__ == "__main__":
    main()
