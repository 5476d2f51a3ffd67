# SPDX-License-Identifier: Apache-2.0
"""Makes an installed PyTorch wheel loadable without the CUDA libraries it was linked against.

Usage: torch_without_cuda.py SITE_PACKAGES

PyPI's wheel for x86-64 names about ten NVIDIA libraries, several gigabytes, as needed at load time,
although a process that computes on the CPU calls none of them. For each that is missing this writes
a small library of that name into torch/lib: it has the symbols that PyTorch wants, and each of them
ends the process with a line that says why. For tests on the CPU only; libraries that are installed
as packages beside PyTorch are used, those of the system are not looked at.
"""

import os
import subprocess
import sys
import tempfile

ENDING = """
#include <stdlib.h>
#include <unistd.h>
__attribute__((visibility("hidden"), noreturn)) void missing(void)
{
    static const char text[] = "a CUDA library was called that this environment leaves out: "
                               "see scripts/torch_without_cuda.py\\n";
    (void)!write(2, text, sizeof(text) - 1);
    abort();
}
"""


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def libraries(folder):
    for name in sorted(os.listdir(folder)):
        if ".so" in name:
            yield os.path.join(folder, name)


def needed(path):
    lines = output("objdump", "-p", path).splitlines()
    return [line.split()[1] for line in lines if "NEEDED" in line]


def symbols(path, *flags):
    """Dynamic symbols of a library, without their versions."""
    lines = output("nm", "-D", *flags, path).splitlines()
    return {line.split()[-1].split("@")[0] for line in lines if line}


def is_of_cuda(name):
    return name.startswith(("libcu", "libnccl", "libnv"))


def write_stub(path, name, wanted):
    """Functions and data are not told apart: a jump serves as both, as long as nobody reads it."""
    with tempfile.TemporaryDirectory() as folder:
        ending, table = os.path.join(folder, "ending.c"), os.path.join(folder, "table.s")
        with open(ending, "w", encoding="ascii") as file:
            file.write(ENDING)
        with open(table, "w", encoding="ascii") as file:
            file.write('.text\n.section .note.GNU-stack,"",@progbits\n.text\n')
            for symbol in sorted(wanted):
                file.write(f".globl {symbol}\n.type {symbol},@function\n{symbol}: jmp missing\n")
        command = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", path, ending, table]
        subprocess.run(command, check=True)


def main():
    site = sys.argv[1]
    folder = os.path.join(site, "torch", "lib")
    ours = list(libraries(folder))
    real = [
        path
        for base, _, names in os.walk(os.path.join(site, "nvidia"))
        for path in (os.path.join(base, name) for name in names)
        if ".so" in os.path.basename(path)
    ]
    have = {os.path.basename(path) for path in ours + real}
    missing = sorted(
        {name for path in ours for name in needed(path) if is_of_cuda(name) and name not in have}
        # Loaded by PyTorch itself, and only when it has found a device.
        - {"libcuda.so.1", "libcusolver.so.12", "libcusolver.so.11"}
    )
    if not missing:
        print("torch_without_cuda: nothing is missing")
        return
    wanted = set()
    for path in ours:
        wanted |= symbols(path, "--undefined-only")
    for path in ours + real:
        wanted -= symbols(path, "--defined-only")
    prefixes = ("cu", "nccl", "pnccl", "nvrtc", "nvshmem", "nvJitLink")
    wanted = {symbol for symbol in wanted if symbol.startswith(prefixes)}
    for index, name in enumerate(missing):
        write_stub(os.path.join(folder, name), name, wanted if index == 0 else set())
    print(f"torch_without_cuda: {len(missing)} libraries left out, {len(wanted)} symbols")


if __name__ == "__main__":
    main()
