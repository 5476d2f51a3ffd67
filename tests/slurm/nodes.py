# SPDX-License-Identifier: Apache-2.0
"""Hosts that are namespaces: network, hostname, root and processes of their own, gone with their
first process. Nothing of them is visible outside, and nothing is left behind."""

import ctypes
import os
import signal
import subprocess
import sys

_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1

# The first process of a host makes its root, reaps what it adopts, and takes the host with it when
# it ends. It is of the machine outside: the root may have no Python.
INIT = """
import os, signal, subprocess, sys
subprocess.run(["sh", "-euc", *sys.argv[1:]], check=True)
os.write(1, b"up\\n")
while True:
    try:
        os.wait()
    except ChildProcessError:
        signal.sigtimedwait([signal.SIGCHLD], 1)
"""

# A root of its own over SYSTEM, which is / or a folder and is never written to: processes, the
# network's devices, /tmp, /run and /dev/shm are this host's. What it shares with the machine
# outside, by the same path: the folders named last.
ROOT = """
scratch=$1 system=$2 hosts=$3
shift 3
mount -t tmpfs -o mode=755 tmpfs "$scratch"
mkdir "$scratch/root" "$scratch/upper" "$scratch/work"
if [ "$system" = / ]; then
    mount --rbind / "$scratch/root"
else
    mount -t overlay overlay "$scratch/root" \\
        -o "lowerdir=$system,upperdir=$scratch/upper,workdir=$scratch/work"
    mount --rbind /dev "$scratch/root/dev"
fi
cd "$scratch/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
if [ -d /sys/fs/cgroup ]; then
    mount --rbind /sys/fs/cgroup sys/fs/cgroup
fi
mount -t tmpfs -o mode=755 tmpfs run
for directory in tmp dev/shm; do
    mount -t tmpfs -o mode=1777 tmpfs "$directory"
done
for shared; do
    mkdir -p ".$shared"
    mount --rbind "$shared" ".$shared"
done
mount --bind "$hosts" etc/hosts
pivot_root . mnt
umount -l mnt
"""


def _die_with_parent():
    os.setsid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Host:
    """scratch: an empty folder of its own. system: the root that it has, seen but not written to.
    shared: folders that it has in common with the machine outside."""

    def __init__(self, name, address, hosts_file, scratch, system="/", shared=()):
        self.name, self.address = name, address
        os.makedirs(scratch, exist_ok=True)
        root = [ROOT, "root", scratch, system, hosts_file, *shared]
        self.init = subprocess.Popen(
            ["unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child"]
            + ["--propagation", "private", sys.executable, "-c", INIT, *root],
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
