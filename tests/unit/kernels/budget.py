#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""budget.py FOLDER [--self-test] - what nvcc made of the kernels is what they were written for.

FOLDER has the cubins of a build (build/dev/kernels). Of each kernel for each GPU: registers and
shared memory within the budget, nothing spilled, no local memory, no more instructions than
budgeted (for the compiler that the budget was made with; with others it is only printed).
Exit status: 0 yes, 1 no, 77 there is no cubin.
"""

import glob
import os
import re
import struct
import sys

# Kernel: registers, shared bytes, instructions (the most of any GPU, and 3 %).
BUDGET = {
    "blake3_chunks<true>": (64, 49152, 2420),
    "blake3_chunks<false>": (64, 49152, 2740),
    "fingerprint_chunks<true,false>": (80, 38960, 720),
    "fingerprint_chunks<false,false>": (80, 38960, 1560),
    "fingerprint_chunks<true,true>": (128, 38960, 2690),
    "fingerprint_chunks<false,true>": (128, 38960, 3560),
    "copy_tensors<true>": (64, 0, 510),
    "copy_tensors<false>": (64, 0, 490),
    "count_not_finite": (64, 0, 990),
    "changed_values": (32, 0, 66),
}
COMPILER = b"V13.0"

# What stands in .nv.info: the attribute, then a symbol and a number.
REGISTERS, FRAME_BYTES = 0x2F, 0x11
# The lowest nine bits of an instruction (16 bytes, since compute capability 7.0).
NOP, LOAD_LOCAL, STORE_LOCAL = 0x118, 0x183, 0x187


def sections(data):
    """Of a 64-bit ELF file: (name, bytes, header's link and info, size)."""
    table, = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
    text = headers[names][4]
    for name, kind, _, _, offset, length, _, _, _, _ in headers:
        end = data.index(b"\0", text + name)
        body = b"" if kind == 8 else data[offset:offset + length]  # 8: no bytes in the file
        yield data[text + name:end].decode(), body, length


def numbers(info, wanted):
    """Of .nv.info: the number of each symbol."""
    at, found = 0, {}
    while at + 4 <= len(info):
        form, attribute, size = struct.unpack_from("<BBH", info, at)
        if form == 4:
            if attribute == wanted and size == 8:
                symbol, number = struct.unpack_from("<II", info, at + 4)
                found[symbol] = number
            at += size
        at += 4
    return found


def plain(mangled):
    """_Z13blake3_chunksILb1EE... is blake3_chunks<true>."""
    match = re.match(r"_Z(\d+)(\w+)", mangled)
    length = int(match.group(1))
    name, rest = match.group(2)[:length], match.group(2)[length:]
    bools = re.match(r"I((?:Lb[01]E)+)E", rest)
    if not bools:
        return name
    words = ("true" if bit == "1" else "false" for bit in re.findall(r"Lb(.)E", bools.group(1)))
    return name + "<" + ",".join(words) + ">"


def kernels(data):
    """Of a cubin: each kernel's name, registers, frame, shared memory, opcodes."""
    parts = {name: (body, length) for name, body, length in sections(data)}
    symbols = parts[".symtab"][0]
    text = parts[".strtab"][0]
    registers = numbers(parts[".nv.info"][0], REGISTERS)
    frames = numbers(parts[".nv.info"][0], FRAME_BYTES)
    for index in registers:
        start, = struct.unpack_from("<I", symbols, index * 24)
        symbol = text[start:text.index(b"\0", start)].decode()
        code = parts[".text." + symbol][0]
        opcodes = [struct.unpack_from("<H", code, at)[0] & 0x1FF for at in range(0, len(code), 16)]
        shared = parts.get(".nv.shared." + symbol, (b"", 0))[1]
        # From compute capability 9.0 on the first KiB is the system's.
        yield plain(symbol), registers[index], frames[index], shared, opcodes


def judge(name, registers, frame, shared, opcodes, strict):
    if name not in BUDGET:
        yield "has no budget"
        return
    most = BUDGET[name]
    count = sum(opcode != NOP for opcode in opcodes)
    if registers > most[0]:
        yield f"{registers} registers (at most {most[0]})"
    if frame != 0:
        yield f"a frame of {frame} bytes: something is spilled"
    if LOAD_LOCAL in opcodes or STORE_LOCAL in opcodes:
        yield "loads or stores of local memory"
    if shared > most[1] + 1024:
        yield f"{shared} bytes of shared memory (at most {most[1]})"
    if strict and count > most[2]:
        yield f"{count} instructions (at most {most[2]})"


def self_test():
    name = next(iter(BUDGET))
    registers, shared, count = BUDGET[name]
    good = [0x10] * (count - 1) + [NOP] * 50

    def found(*kernel):
        return list(judge(*kernel, True))

    assert not found(name, registers, 0, shared, good)
    assert len(found(name, registers + 1, 0, shared, good)) == 1
    assert len(found(name, registers, 8, shared, good)) == 1
    assert len(found(name, registers, 0, shared + 4096, good)) == 1
    assert len(found(name, registers, 0, shared, good + [LOAD_LOCAL])) == 1
    assert len(found(name, registers, 0, shared, good + [STORE_LOCAL])) == 1
    assert len(found(name, registers, 0, shared, good + [0x10] * 2)) == 1
    assert len(found("unknown", 1, 0, 0, [])) == 1
    return 0


def main():
    if "--self-test" in sys.argv:
        return self_test()
    files = sorted(glob.glob(os.path.join(sys.argv[1], "*.kept", "*.cubin")))
    if not files:
        print("no cubins: nvcc has not been here")
        return 77
    faults, met = [], set()
    for path in files:
        with open(path, "rb") as file:
            data = file.read()
        gpu = re.search(r"_(\d+)\.cubin$", path).group(1)
        for name, registers, frame, shared, opcodes in kernels(data):
            count = sum(opcode != NOP for opcode in opcodes)
            met.add(name)
            print(f"sm_{gpu:4} {name:32} {registers:3} registers {shared:6} shared "
                  f"{count:5} instructions")
            faults += [f"sm_{gpu} {name}: {fault}"
                       for fault in judge(name, registers, frame, shared, opcodes,
                                          COMPILER in data)]
    faults += [f"{name}: nobody has made it" for name in sorted(BUDGET.keys() - met)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
