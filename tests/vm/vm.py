#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command on machines that have RDMA: Debian's own kernel, with Soft-RoCE, under QEMU.

Usage: vm.py [--guests 1|2] [--rails N] [--family 4|6] [--seconds S] [--keep] -- COMMAND [WORD]...

Boots the kernel under TCG (no KVM is needed) with this machine's own root as its root, read-only
under a tmpfs: what is installed and built here is there, and nothing that runs there changes
anything here. Each guest has the RDMA devices rxe0, rxe1... on the network interfaces v0, v1...
  one guest    vN is one end of a veth pair, 10.77.N.1/24; a device reaches itself
  two guests   vN of both are joined, 10.77.N.1/24 and 10.77.N.2/24; so is m0, 10.78.0.1/24 and
               10.78.0.2/24, without an RDMA device: for control, which stays when rails are cut
With --family 6 there is no IPv4 address but lo's: they are fd00:77:N::1/64 and 2, fd00:78::1/64 and
2. The kernel keeps them while a link is down, which it does not by itself.
COMMAND runs in every guest at once, in this folder, as root, with
  CKPT_VM_GUEST      1 or 2
  CKPT_VM_GUESTS     1 or 2
  CKPT_VM_FAMILY     4 or 6
  CKPT_VM_EXCHANGE   a folder that all guests and this machine see; gone afterwards
and what it prints is printed, "1: " or "2: " in front of each line when there are two guests.

Exit status: the command's (the first guest's that is not 0); 77 when QEMU or a kernel with its
modules is not here, and the reason is printed; 124 when it ran past the time; 125 when a guest
ended without a status (its console is printed).
CKPT_VM_KERNEL names another kernel, FOLDER/boot/vmlinuz-VERSION, with its modules (and what depmod
makes) in FOLDER/lib/modules/VERSION: a package that was unpacked will do.
"""
import argparse
import contextlib
import glob
import gzip
import lzma
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

MODULES = """virtio_pci virtio_net 9pnet_virtio 9p overlay veth crc32c_generic crc32_generic
rdma_rxe ib_uverbs rdma_ucm sch_netem sch_tbf""".split()
# Loaded where the kernel has them: who needs them looks.
MORE_MODULES = "algif_hash nhpoly1305 nhpoly1305_sse2 nhpoly1305_avx2".split()
MTU = 4500  # 4096 bytes of payload and the headers of RoCE
MEMORY_MIB = 1536


class Skip(Exception):
    """Something that these tests need is not on this machine."""


def find_kernel():
    named = os.environ.get("CKPT_VM_KERNEL")
    kernels = [named] if named else sorted(glob.glob("/boot/vmlinuz-*"), reverse=True)
    for kernel in kernels:
        folder = os.path.dirname(os.path.dirname(os.path.abspath(kernel)))
        modules = os.path.join(folder, "lib/modules", os.path.basename(kernel).partition("-")[2])
        if os.access(kernel, os.R_OK) and os.path.exists(modules + "/modules.dep"):
            return kernel, modules
    raise Skip(f"no kernel {named or '/boot/vmlinuz-*'} with its modules (linux-image-amd64)")


def find_program(*names):
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise Skip(f"no {names[0]}")


def module_files(folder):
    """The files of MODULES, of MORE_MODULES and of what they need, in the order of loading."""
    needs, builtin = {}, set()
    with open(folder + "/modules.dep", encoding="utf-8") as file:
        for line in file:
            path, _, rest = line.partition(":")
            needs[path] = rest.split()
    with open(folder + "/modules.builtin", encoding="utf-8") as file:
        builtin = {name_of(line.strip()) for line in file}
    by_name = {name_of(path): path for path in needs}
    order = []

    def add(path):
        for need in needs[path]:
            add(need)
        if path not in order:
            order.append(path)

    for name in MODULES:
        if name in by_name:
            add(by_name[name])
        elif name not in builtin:
            raise Skip(f"the kernel of {folder} has no module {name}")
    for name in MORE_MODULES:
        if name in by_name:
            add(by_name[name])
    return [os.path.join(folder, path) for path in order]


def name_of(path):
    return os.path.basename(path).partition(".ko")[0].replace("-", "_")


def module_bytes(path):
    openers = {".xz": lzma.open, ".gz": gzip.open}
    with openers.get(os.path.splitext(path)[1], open)(path, "rb") as file:
        return file.read()


def archive(entries):
    """A cpio archive ("newc") of (name, mode, bytes)."""
    parts = []

    def add(number, name, mode, body):
        fields = [number, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        parts.extend((head, b"\0" * (-len(head) % 4), body, b"\0" * (-len(body) % 4)))

    for number, (name, mode, body) in enumerate(entries, 1):
        add(number, name, mode, body)
    add(0, "TRAILER!!!", 0, b"")
    return b"".join(parts)


def make_initramfs(path, modules, busybox):
    here = os.path.dirname(os.path.abspath(__file__))
    entries = [(folder, 0o040755, b"") for folder in
               ("bin", "dev", "proc", "sys", "modules", "lower", "upper", "root")]
    with open(busybox, "rb") as file:
        entries.append(("bin/busybox", 0o100755, file.read()))
    with open(here + "/init.sh", "rb") as file:
        entries.append(("init", 0o100755, file.read()))
    names = []
    for module in module_files(modules):
        names.append(name_of(module))
        entries.append((f"modules/{names[-1]}.ko", 0o100644, module_bytes(module)))
    entries.append(("modules/order", 0o100644, ("\n".join(names) + "\n").encode()))
    with open(path, "wb") as file:
        file.write(archive(entries))


class Guest:
    """One QEMU, ended by its own process id."""

    def __init__(self, number, options, kernel, qemu, folder):
        self.number = number
        self.label = f"{number}: " if options.guests == 2 else ""
        self.console = f"{folder}/console.{number}"
        self.output = f"{folder}/exchange/.output.{number}"
        self.status_file = f"{folder}/exchange/.status.{number}"
        self.shown = 0
        append = ["console=ttyS0", "panic=-1", "quiet", "net.ifnames=0", "mitigations=off",
                  "no_timer_check",  # whose test a loaded machine fails now and then
                  "nokaslr", "cryptomgr.notests",  # a quarter of the time to boot
                  f"ckpt_guest={number}", f"ckpt_guests={options.guests}",
                  f"ckpt_rails={options.rails}", f"ckpt_mtu={MTU}",
                  f"ckpt_family={options.family}"]
        command = [
            qemu, "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "2",
            "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-serial", "file:" + self.console, "-kernel", kernel,
            "-initrd", folder + "/initramfs", "-append", " ".join(append),
            "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
            "-fsdev", f"local,id=exchange,path={folder}/exchange,security_model=none",
            "-device", "virtio-9p-pci,fsdev=exchange,mount_tag=exchange"]
        for wire in range(options.rails + 1 if options.guests == 2 else 0):
            command += [
                "-netdev", f"dgram,id=n{wire},local.type=unix,remote.type=unix,"
                f"local.path={folder}/wire.{wire}.{number},"
                f"remote.path={folder}/wire.{wire}.{3 - number}",
                "-device", f"virtio-net-pci,netdev=n{wire},host_mtu={MTU},"
                f"mac=52:54:00:77:{wire:02x}:{number:02x}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        # The machine's clock goes on while it waits for a processor, and its tests have deadlines.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, self.process.pid, -10)

    def show(self):
        """Prints whole lines that are new; when the command has ended, the rest."""
        status = self.status()
        if not os.path.exists(self.output):
            return status
        with open(self.output, "rb") as file:
            file.seek(self.shown)
            fresh = file.read()
        whole = fresh.rfind(b"\n") + 1 if status is None else len(fresh)
        self.shown += whole
        for line in fresh[:whole].decode(errors="replace").splitlines():
            print(self.label + line, flush=True)
        return status

    def status(self):
        if not os.path.exists(self.status_file):
            return None
        with open(self.status_file, encoding="utf-8") as file:
            text = file.read().strip()
        return int(text) if text else None

    def ended(self):
        return self.process.poll() is not None

    def end(self):
        if not self.ended():
            self.process.kill()
        self.process.wait()

    def tail(self):
        if os.path.exists(self.console):
            with open(self.console, errors="replace", encoding="utf-8") as file:
                print(f"console of guest {self.number}:\n" + file.read()[-4000:], flush=True)


def write_command(folder, command):
    with open(folder + "/exchange/.command", "w", encoding="utf-8") as file:
        file.write(f"cd {shlex.quote(os.getcwd())} || exit 125\n")
        file.write(" ".join(shlex.quote(word) for word in command) + "\n")


def watch(guests, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        running = False
        for guest in guests:
            ended = guest.ended()
            if guest.show() is None:
                running = True
                if ended:
                    print(f"vm: guest {guest.number} ended without a status", flush=True)
                    guest.tail()
                    return 125
        if not running:
            return next((g.status() for g in guests if g.status() != 0), 0)
        time.sleep(0.1)
    print(f"vm: not done after {seconds} s", flush=True)
    for guest in guests:
        guest.tail()
    return 124


def run(options):
    if platform.machine() != "x86_64":
        raise Skip(f"these tests boot an x86_64 kernel, and this is {platform.machine()}")
    qemu = find_program("qemu-system-x86_64")
    kernel, modules = find_kernel()
    busybox = find_program("busybox")
    find_program("rdma")
    folder = tempfile.mkdtemp(prefix="ckpt_vm_")
    guests = []
    try:
        os.mkdir(folder + "/exchange")
        write_command(folder, options.command)
        make_initramfs(folder + "/initramfs", modules, busybox)
        for number in range(1, options.guests + 1):
            guests.append(Guest(number, options, kernel, qemu, folder))
        return watch(guests, options.seconds)
    finally:
        for guest in guests:
            guest.end()
        if options.keep:
            print("vm: kept " + folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--guests", type=int, choices=(1, 2), default=1)
    parser.add_argument("--rails", type=int, default=2)
    parser.add_argument("--family", type=int, choices=(4, 6), default=4)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("command", nargs="+")
    if len(sys.argv) == 1 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(sys.argv) > 1 else 2
    try:
        return run(parser.parse_args())
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
