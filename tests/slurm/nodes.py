# SPDX-License-Identifier: Apache-2.0
"""Hosts that are namespaces: network, hostname, mounts and processes of their own, gone with their
first process. Nothing of them is visible outside, and nothing is left behind."""

import ctypes
import os
import signal
import subprocess
import sys

_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1

# The first process of a host reaps what it adopts, and takes the host with it when it ends.
INIT = """
import os, signal, sys
os.write(1, b"up\\n")
while True:
    try:
        os.wait()
    except ChildProcessError:
        signal.sigtimedwait([signal.SIGCHLD], 1)
"""


def _die_with_parent():
    os.setsid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Host:
    def __init__(self, name, address, hosts_file):
        self.name, self.address = name, address
        self.init = subprocess.Popen(
            ["unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child"]
            + ["--mount-proc", sys.executable, "-c", INIT],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            preexec_fn=_die_with_parent,
        )
        if self.init.stdout.readline() != b"up\n":
            raise OSError(f"no namespaces to be had for {name}")
        with open(f"/proc/{self.init.pid}/task/{self.init.pid}/children", encoding="ascii") as text:
            self.pid = int(text.read().split()[0])
        self.must("hostname", name)
        self.must("ip", "link", "set", "lo", "up")
        self.must("mount", "--bind", hosts_file, "/etc/hosts")
        for directory, mode in (("/run", "755"), ("/dev/shm", "1777")):
            self.must("mount", "-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", directory)

    def command(self, *words, user=None):
        enter = ["nsenter", "-t", str(self.pid), "-n", "-u", "-i", "-m", "-p"]
        if user is not None:
            enter += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return enter + [str(word) for word in words]

    def network(self, *words):
        """A command in this host's network alone, which sees all processes of the machine."""
        enter = ["nsenter", "-t", str(self.pid), "-n"] + [str(word) for word in words]
        subprocess.run(enter, check=True, timeout=20)

    def run(self, *words, user=None, timeout=60, **more):
        return subprocess.run(
            self.command(*words, user=user),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **more,
        )

    def must(self, *words, user=None, **more):
        done = self.run(*words, user=user, **more)
        if done.returncode != 0:
            raise OSError(f"{self.name}: {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout

    def start(self, log, *words, **more):
        """A process of this host, in the background; it dies with the host."""
        with open(log, "ab") as out:
            return subprocess.Popen(
                self.command(*words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=_die_with_parent,
                **more,
            )

    def is_up(self):
        return self.init.poll() is None

    def lose(self):
        """Power off: every process, all memory and the network of this host are gone."""
        if self.is_up():
            os.kill(self.init.pid, signal.SIGKILL)
        self.init.wait()
        self.init.stdout.close()


class Network:
    """A bridge in the first host, with the others' links in it."""

    def __init__(self, center, prefix=24):
        self.center, self.prefix = center, prefix
        center.must("ip", "link", "add", "br0", "type", "bridge")
        center.must("ip", "address", "add", f"{center.address}/{prefix}", "dev", "br0")
        center.must("ip", "link", "set", "br0", "up")

    def join(self, host):
        ours, theirs = f"v-{host.name}", "eth0"
        link = ["ip", "link", "add", ours, "type", "veth", "peer", "name", theirs]
        self.center.network(*link, "netns", host.pid)
        self.center.must("ip", "link", "set", ours, "master", "br0", "up")
        host.must("ip", "address", "add", f"{host.address}/{self.prefix}", "dev", theirs)
        host.must("ip", "link", "set", theirs, "up")

    def cut(self, host, up=False):
        self.center.must("ip", "link", "set", f"v-{host.name}", "up" if up else "down")
