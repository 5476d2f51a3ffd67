# SPDX-License-Identifier: Apache-2.0
"""A rank whose GPU is tests/fake_gpu: saves by ckptd.device and restores by Context.load_device.

    gpu_rank.py FOLDER SOCKET RUN ATTEMPT SCRIPT

FOLDER has the fake driver and the kernels. Prints what became of each step, a JSON object a line.
"""

import ctypes
import json
import logging
import os
import sys

import torch

import ckptd
from ckptd import device

SIZES = {"weights": 700000, "scale": 12, "moments": 300001}


class Fake:
    """The driver and the kernels, found by libckpt as it finds the real ones: by their names."""

    def __init__(self, folder):
        self.cuda = ctypes.CDLL(os.path.join(folder, "libcuda.so.1"))
        self.kernels = ctypes.CDLL(os.path.join(folder, "libckpt_kernels.so.1"))
        self.cuda.fake_gpu_allocate.restype = ctypes.c_void_p
        self.cuda.fake_gpu_allocate.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t,
                                                ctypes.c_int]
        self.cuda.fake_gpu_stream.restype = ctypes.c_void_p
        self.cuda.fake_gpu_synchronize.argtypes = [ctypes.c_void_p]
        self.stream = self.cuda.fake_gpu_stream(0)

    def tensor(self, size):
        address = self.cuda.fake_gpu_allocate(0, size, 0, 0)
        return torch.frombuffer((ctypes.c_uint8 * size).from_address(address), dtype=torch.uint8)

    def script(self, text):
        self.cuda.fake_gpu_script(text.encode())


class OnDevice:
    """A tensor that says it is a device's."""

    def __init__(self, tensor):
        self.tensor, self.device = tensor, torch.device("cuda:0")

    def __getattr__(self, name):
        return getattr(self.tensor, name)


class Engine(device.CudaEngine):
    """CUDA's, but for torch's own calls of it."""

    def __init__(self, fake):
        super().__init__()
        self.fake, self.copies = fake, 0

    def stream(self, device):
        return self.fake.stream

    def mark(self, device):
        return lambda: self.fake.cuda.fake_gpu_synchronize(self.fake.stream)

    def register(self, context, begin, end):
        pass

    def start(self, pairs):
        self.copies += len(pairs)
        return lambda: [target.copy_(source.tensor) for target, source in pairs]


def fill(tensors, step):
    for number, tensor in enumerate(tensors.values()):
        tensor.copy_((torch.arange(len(tensor)) * 13 + step * 31 + number).to(torch.uint8))


def save(context, step, tensors):
    table = ckptd.Table([ckptd.Tensor(name, "U8", (len(tensor),), 0, len(tensor))
                         for name, tensor in tensors.items()])
    fill(tensors, step)
    copy = device.copy_from_devices(context, step, table, {},
                                    [OnDevice(tensor) for tensor in tensors.values()])
    error = copy.wait(60)
    if error is None:
        try:
            context.wait(step, 60)
        except ckptd.Error as other:
            error = other
    return {"step": step, "error": error.status if error else "", "reason": str(error or "")}


def restore(context, fake, tensors):
    with context.load(timeout=60) as shard:
        for tensor in tensors.values():
            tensor.zero_()
        context.load_device(shard, {name: (tensor.data_ptr(), len(tensor))
                                    for name, tensor in tensors.items()}, fake.stream)
        expected = {name: torch.empty(len(tensor), dtype=torch.uint8)
                    for name, tensor in tensors.items()}
        fill(expected, shard.step)
        return {"step": shard.step, "proven": context.device_report().is_proven,
                "equal": all(torch.equal(expected[name], tensors[name]) for name in tensors)}


def main(folder, socket, run, attempt, script):
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    fake = Fake(folder)
    engine = Engine(fake)
    device._engines["cuda"] = engine
    device._memory = lambda address, like, real=device._memory: real(address, like.tensor)
    tensors = {name: fake.tensor(size) for name, size in SIZES.items()}
    context = ckptd.Context(run, attempt=int(attempt), socket=socket, timeout=30)
    print(json.dumps(save(context, 1, tensors)))
    fake.script(script)
    print(json.dumps(save(context, 2, tensors)))
    fake.script("")
    print(json.dumps(save(context, 3, tensors)))
    print(json.dumps({"copies": engine.copies}))
    context.close()
    context = ckptd.Context(run, attempt=int(attempt) + 1, socket=socket, timeout=30)
    print(json.dumps(restore(context, fake, tensors)))
    context.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
