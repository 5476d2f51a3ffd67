#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The value of a chunk is what the kernel's nhpoly1305 says of its bytes.

    nhpoly1305.py FINGERPRINT_MAIN

Asks the kernel over AF_ALG, as a keyed hash: NH's 268 words behind Poly1305's r are its key, the
chunk its message. The code is the kernel's, of Adiantum's authors. All of its implementations that
this CPU runs are asked. Keys are derived by b3sum. Exits 77 where there is no b3sum, or the kernel
has no such hash."""

import random
import shutil
import socket
import subprocess
import sys

CHUNK = 1 << 20
R_BYTES = 16
WORDS_BYTES = 4 * 268
DRIVERS = "nhpoly1305", "nhpoly1305-generic", "nhpoly1305-sse2", "nhpoly1305-avx2"


def derive(context, secret, count):
    return subprocess.run(
        ["b3sum", "--derive-key", context, "--raw", "--length", str(count)],
        input=secret, stdout=subprocess.PIPE, check=True).stdout


def open_hash(name):
    """None: the kernel has no hash of that name."""
    algorithm = socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
    try:
        algorithm.bind(("hash", name))
    except OSError:
        return None
    return algorithm


def kernel_value(algorithm, key, chunk):
    algorithm.setsockopt(socket.SOL_ALG, socket.ALG_SET_KEY, key)
    operation, _ = algorithm.accept()
    with operation:
        view = memoryview(chunk)
        for at in range(0, len(chunk), 65536):
            operation.send(view[at:at + 65536], socket.MSG_MORE)
        operation.send(b"")
        return operation.recv(64)


def our_values(main, secret, data):
    """By engine: the values of the chunks."""
    done = subprocess.run([main, secret.hex()], input=data, stdout=subprocess.PIPE, check=True)
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    return {line[0]: [bytes.fromhex(value) for value in line[2:-1]] for line in lines}


def main():
    if shutil.which("b3sum") is None:
        print("no b3sum: keys cannot be derived in another way")
        sys.exit(77)
    hashes = {name: open_hash(name) for name in DRIVERS}
    hashes = {name: algorithm for name, algorithm in hashes.items() if algorithm}
    if not hashes:
        print("the kernel has no nhpoly1305 that a program may use")
        sys.exit(77)
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    sizes = [1, 15, 16, 17, 1023, 1024, 1025, 4096, 33 * 1024 - 1, CHUNK - 1, CHUNK,
             CHUNK + 1, 2 * CHUNK + 8 * 1024 + 5] + [draw.randrange(1, 65536) for _ in range(8)]
    engines = set()
    for size in sizes:
        secret = draw.randbytes(32)
        key = (derive("ckptd fingerprint 1: Poly1305", secret, R_BYTES)
               + derive("ckptd fingerprint 1: NH", secret, WORDS_BYTES))
        # Words of ones carry the furthest.
        data = b"\xff" * size if size % 3 == 0 else draw.randbytes(size)
        ours = our_values(sys.argv[1], secret, data)
        engines.update(ours)
        for name, algorithm in hashes.items():
            wanted = [kernel_value(algorithm, key, data[at:at + CHUNK])
                      for at in range(0, size, CHUNK)]
            for engine, values in ours.items():
                if values != wanted:
                    sys.exit(f"seed {seed}, {size} bytes: {engine} says "
                             f"{[value.hex() for value in values]}, the kernel's {name} "
                             f"{[value.hex() for value in wanted]}")
    if not engines:
        sys.exit("no engine was run")
    print(f"{len(sizes)} shards, kernel: {', '.join(hashes)}; engines: {', '.join(engines)}")


main()
