# SPDX-License-Identifier: Apache-2.0
"""Opens a shard of ours with the official safetensors package, and a file of its with our reader.

Usage: official.py SHARD_SAMPLE. Exits 77 where Python has no safetensors or NumPy.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy
    import safetensors
    import safetensors.numpy
except ImportError as error:
    # The environment of the Python tests has both.
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
    venv = os.environ.get("CKPT_VENV", os.path.join(top, "build/venv"))
    python = os.path.join(venv, "bin/python")
    if os.path.exists(python) and "CKPT_OFFICIAL" not in os.environ:
        os.execve(python, [python, *sys.argv], {**os.environ, "CKPT_OFFICIAL": "1"})
    print(f"skipped: {error}")
    sys.exit(77)


def read_ours(sample, folder):
    path = os.path.join(folder, "ours.safetensors")
    subprocess.run([sample, "write", path], check=True)
    with open(path, "rb") as file:
        raw = file.read()
    header_bytes = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:header_bytes])
    assert header_bytes % 4096 == 0
    tensors = safetensors.numpy.load_file(path)
    assert len(tensors) == 8 and set(tensors) == set(header) - {"__metadata__"}
    for name, tensor in tensors.items():
        begin, end = header[name]["data_offsets"]
        assert list(tensor.shape) == header[name]["shape"], name
        want = bytes(i % 251 for i in range(begin, end))
        assert tensor.tobytes() == want, name
    assert tensors["c.i64"].dtype == numpy.int64 and tensors["c.i64"].shape == ()
    with safetensors.safe_open(path, "numpy") as opened:
        assert opened.metadata() == {"note": '"quoted" \\ zürich\n'}


def write_theirs(sample, folder):
    path = os.path.join(folder, "theirs.safetensors")
    tensors = {
        "w": numpy.arange(12, dtype=numpy.float32).reshape(3, 4),
        "b": numpy.array([True, False, True]),
        "s": numpy.array(7, dtype=numpy.int64),
        "h": numpy.zeros((2, 0), dtype=numpy.float16),
    }
    safetensors.numpy.save_file(tensors, path, {"format": "np"})
    listed = subprocess.run([sample, "list", path], check=True, capture_output=True, text=True)
    with open(path, "rb") as file:
        raw = file.read()
    seen = {}
    for line in listed.stdout.splitlines():
        left, right = line.split(" @ ")
        name, dtype, *shape = left.split()
        offset, size = (int(number) for number in right.split(" + "))
        seen[name] = (dtype, [int(n) for n in shape], raw[offset : offset + size])
    names = {"float32": "F32", "bool": "BOOL", "int64": "I64", "float16": "F16"}
    for name, tensor in tensors.items():
        want = (names[str(tensor.dtype)], list(tensor.shape), tensor.tobytes())
        assert seen.pop(name) == want, name
    assert not seen


with tempfile.TemporaryDirectory() as folder:
    read_ours(sys.argv[1], folder)
    write_theirs(sys.argv[1], folder)
print(f"safetensors {safetensors.__version__}: both ways equal")
