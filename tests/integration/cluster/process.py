# SPDX-License-Identifier: Apache-2.0
"""Processes that a test starts, and ends by their own ids: nothing else is ever signalled."""

import ctypes
import os
import re
import select
import signal
import subprocess
import time

BIN = os.environ.get("CKPT_BIN", os.path.join(os.path.dirname(__file__), "../../../build/dev/bin"))
SCALE = float(os.environ.get("CKPT_TIME_SCALE", "1"))  # of all waits: sanitizers are slow
_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Failure(AssertionError):
    """A process did not do what the test needs."""


def wait_until(what, condition, timeout=20.0, every=0.02):
    """Returns the first true value of condition()."""
    deadline = time.monotonic() + timeout * SCALE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"not within {timeout * SCALE:.0f} s: {what}")
        time.sleep(every)


def is_stopped(popen):
    """By SIGSTOP, as /proc/PID/stat says."""
    with open(f"/proc/{popen.pid}/stat", encoding="ascii") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def program(name):
    return os.path.join(BIN, name)


def environment(fault=None, **more):
    keep = {key: value for key, value in os.environ.items() if not key.startswith("CKPT_")}
    keep.update(more)
    if fault:
        keep["CKPT_FAULT"] = fault
    return keep


_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


class Daemon:
    """A daemon whose log is a file; it may be started again and again."""

    def __init__(self, name, log):
        self.name, self.log = name, log
        self.popen = None
        self.from_line = 0

    def arguments(self):
        raise NotImplementedError

    def start(self, fault=None, wait=True):
        assert not self.is_alive(), f"{self.name} runs already"
        self.from_line = len(self.lines())
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                self.arguments(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(fault),
                preexec_fn=_die_with_parent,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if not self.is_alive():
                raise Failure(f"{self.name} ended with {self.popen.returncode} before it was ready")
            return self.events("ready", this_life=True)

        return wait_until(f"{self.name} is ready", ready)[0]

    def lines(self):
        if not os.path.exists(self.log):
            return []
        with open(self.log, "r", errors="replace") as log:
            return log.read().splitlines()

    def events(self, event, this_life=False, **fields):
        """Log lines of the event, as dictionaries, whose fields have these values."""
        found = []
        for line in self.lines()[self.from_line if this_life else 0 :]:
            if f"event={event} " not in line + " ":
                continue
            entry = {key: value.strip('"') for key, value in _FIELD.findall(line)}
            if all(entry.get(key) == str(value) for key, value in fields.items()):
                found.append(entry)
        return found

    def is_alive(self):
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number):
        if self.is_alive():
            self.popen.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait_dead()

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def is_stopped(self):
        return is_stopped(self.popen)

    def wait_dead(self, timeout=20):
        """The exit status; -9 after SIGKILL."""
        if self.popen is None:
            return None
        try:
            return self.popen.wait(timeout * SCALE)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{self.name} still runs after {timeout * SCALE:.0f} s") from error

    def terminate(self, timeout=3):
        self.signal(signal.SIGTERM)
        return self.wait_dead(timeout)

    def tail(self, count=25):
        lines = [line for line in self.lines() if "event=arena_progress" not in line]
        return "\n".join(lines[-count:])

    def memory(self, field):
        """A field of /proc/PID/status, in bytes."""
        with open(f"/proc/{self.popen.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise KeyError(field)


class Reply:
    def __init__(self, line):
        words = line.split(" ")
        self.line = line
        self.ok = words[0] == "ok"
        self.ms = int(words[1])
        self.status = "CKPT_OK" if self.ok else words[2]
        self.words = words[2:] if self.ok else []
        self.reason = "" if self.ok else " ".join(words[3:])

    def __repr__(self):
        return f"<{self.line}>"


class Rank:
    """A process that uses libckpt: one command a line, one answer a line."""

    def __init__(self, log, name="rank"):
        self.name, self.log = name, log
        with open(log, "ab") as errors:
            self.popen = subprocess.Popen(
                [program("ckpt-test-rank")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
                preexec_fn=_die_with_parent,
                bufsize=0,
            )
        self.input = b""

    def is_alive(self):
        return self.popen.poll() is None

    def send(self, *words):
        text = " ".join(str(word) for word in words)
        assert "\n" not in text
        self.popen.stdin.write(text.encode() + b"\n")

    def reply(self, timeout=60):
        """The next answer; None when the process has died."""
        deadline = time.monotonic() + timeout * SCALE
        while b"\n" not in self.input:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.popen.stdout], [], [], left)[0]:
                raise Failure(f"{self.name} gave no answer within {timeout * SCALE:.0f} s")
            data = os.read(self.popen.stdout.fileno(), 1 << 16)
            if not data:
                self.popen.wait()
                return None
            self.input += data
        line, self.input = self.input.split(b"\n", 1)
        return Reply(line.decode(errors="replace"))

    def call(self, *words, timeout=60):
        self.send(*words)
        reply = self.reply(timeout)
        if reply is None:
            raise Failure(f"{self.name} died at {words}: {self.popen.returncode}")
        return reply

    def must(self, *words, timeout=60):
        reply = self.call(*words, timeout=timeout)
        if not reply.ok:
            raise Failure(f"{self.name}: {' '.join(str(word) for word in words)}: {reply}")
        return reply

    def kill(self):
        if self.is_alive():
            self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()
        self.popen.stdin.close()
        self.popen.stdout.close()
