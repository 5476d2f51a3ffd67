#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fingerprints by their definition, in whole numbers of any size, against every engine.

    fingerprint.py FINGERPRINT_MAIN

Keys are derived by b3sum --derive-key; exits 77 where there is no b3sum. NH is section 5 of the
Adiantum paper, the polynomial section 2.5 of RFC 8439. Where the openssl command takes Poly1305, it
says the same of the hashes of NH."""

import random
import shutil
import subprocess
import sys

CHUNK = 1 << 20
MESSAGE = 1024
PASSES = 4
PRIME = (1 << 130) - 5


def derive(context, secret, count):
    done = subprocess.run(
        ["b3sum", "--derive-key", context, "--raw", "--length", str(count)],
        input=secret, stdout=subprocess.PIPE, check=True)
    return done.stdout


def b3sum(data):
    return subprocess.run(["b3sum", "--no-names"], input=data, stdout=subprocess.PIPE,
                          check=True).stdout.decode().strip()


def words(data):
    return [int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)]


def nh(key, message):
    message = words(message + bytes(-len(message) % 16))
    sums = []
    for shift in range(PASSES):
        total = 0
        for unit in range(0, len(message), 4):
            m = message[unit:unit + 4]
            k = key[unit + 4 * shift:unit + 4 * shift + 4]
            total += ((m[0] + k[0]) % 2**32) * ((m[2] + k[2]) % 2**32)
            total += ((m[1] + k[1]) % 2**32) * ((m[3] + k[3]) % 2**32)
        sums.append((total % 2**64).to_bytes(8, "little"))
    return b"".join(sums)


def poly1305(r, blocks):
    r = int.from_bytes(r, "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(blocks), 16):
        total = (total + int.from_bytes(blocks[at:at + 16], "little") + 2**128) * r % PRIME
    return (total % 2**128).to_bytes(16, "little")


def openssl_poly1305(r, blocks):
    """None where there is no such command. The key's second half, which is added, is zero."""
    if shutil.which("openssl") is None or not blocks:
        return None
    done = subprocess.run(
        ["openssl", "mac", "-macopt", "hexkey:" + r.hex() + "00" * 16, "-binary", "POLY1305"],
        input=blocks, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout if done.returncode == 0 else None


def fingerprint(secret, data):
    """(id, values of chunks, fingerprint), in hex."""
    key = words(derive("ckptd fingerprint 1: NH", secret, 4 * 268))
    r = derive("ckptd fingerprint 1: Poly1305", secret, 16)
    name = int.from_bytes(derive("ckptd fingerprint 1: id", secret, 8), "little")
    values = []
    for at in range(0, max(len(data), 1), CHUNK):
        chunk = data[at:at + CHUNK]
        hashes = b"".join(nh(key, chunk[i:i + MESSAGE]) for i in range(0, len(chunk), MESSAGE))
        values.append(poly1305(r, hashes))
        theirs = openssl_poly1305(r, hashes)
        if theirs is not None and theirs != values[-1]:
            sys.exit(f"openssl says {theirs.hex()} of {len(hashes)} bytes, not {values[-1].hex()}")
    root = b3sum(len(data).to_bytes(8, "little") + b"".join(values))
    return [f"{name:016x}"] + [value.hex() for value in values] + [root]


def main():
    if shutil.which("b3sum") is None:
        print("no b3sum: keys cannot be derived in another way")
        sys.exit(77)
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    sizes = [0, 1, 15, 16, 17, 1023, 1024, 1025, 2048, 33 * 1024 - 1, CHUNK - 1, CHUNK, CHUNK + 1,
             2 * CHUNK + 8 * 1024 + 5] + [draw.randrange(1, 65536) for _ in range(8)]
    for size in sizes:
        secret = draw.randbytes(32)
        # Words of ones carry the furthest.
        data = b"\xff" * size if size % 3 == 0 else draw.randbytes(size)
        wanted = fingerprint(secret, data)
        done = subprocess.run([sys.argv[1], secret.hex()], input=data, stdout=subprocess.PIPE,
                              check=True)
        lines = done.stdout.decode().splitlines()
        if not lines:
            sys.exit("no engine was run")
        for line in lines:
            engine, *found = line.split()
            if found != wanted:
                sys.exit(f"seed {seed}, {size} bytes, engine {engine}: {found}, and not {wanted}")
    print(f"{len(sizes)} shards, {len(lines)} engines; openssl: {shutil.which('openssl')}")


main()
