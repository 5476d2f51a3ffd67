# SPDX-License-Identifier: Apache-2.0
"""A cluster of real processes on one host: one coordinator, several agents, ranks."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile

import wire
from arena import Arena
from process import BIN, Daemon, Failure, Rank, program, wait_until

MIB = 1 << 20
SHM = "/dev/shm"
PREFIX = "ckptd-test-"

COORDINATOR_FLAGS = {
    "heartbeat": "100ms",
    "lease": "2s",
    "disconnect-grace": "150ms",
    "resend": "150ms",
    "restore-settle": "400ms",
    "restore-timeout": "20s",
    "save-timeout": "30s",
    "keep": "2",
}
TRANSPORT = os.environ.get("CKPT_TEST_TRANSPORT")  # another than TCP on lo
AGENT_FLAGS = {
    "arena-segment-bytes": "2MiB",
    "arena-bytes": "64MiB",
    "arena-prefault-threads": "1",
    "transport": TRANSPORT or "ucx:tcp",
    "transport-devices": os.environ.get("CKPT_TEST_DEVICES") if TRANSPORT
    else os.environ.get("CKPT_SUITE_DEVICES", "lo"),
    "transport-timeout": "3s",
    "agent-resend": "150ms",
    "agent-pull-timeout": "3s",
    "digest-threads": "1",
}


def sweep():
    """Removes what the test processes of earlier, killed runs have left in memory."""
    for name in os.listdir(SHM):
        if name.startswith(PREFIX):
            pid = name[len(PREFIX) :].split("-")[0]
            if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
                shutil.rmtree(os.path.join(SHM, name), ignore_errors=True)


def flags(values):
    return [f"--{key}={value}" for key, value in values.items() if value is not None]


class Coordinator(Daemon):
    def __init__(self, cluster, options):
        super().__init__("ckptctld", os.path.join(cluster.directory, "ckptctld.log"))
        self.socket = os.path.join(cluster.directory, "c.sock")
        self.state_directory = os.path.join(cluster.directory, "state")
        self.address = "127.0.0.1:0"  # the first start finds a port, later ones keep it
        self.options = {**COORDINATOR_FLAGS, **options}

    def arguments(self):
        return [
            program("ckptctld"),
            f"--listen={self.address}",
            f"--socket={self.socket}",
            f"--state-directory={self.state_directory}",
            "--config=/dev/null",
        ] + flags(self.options)

    def wait_ready(self):
        ready = super().wait_ready()
        self.address = ready["address"]
        return ready

    def ask(self, verb, run=None, **more):
        return wire.admin(self.socket, verb, run, **more)


class Agent(Daemon):
    def __init__(self, cluster, node, options):
        super().__init__(node, os.path.join(cluster.directory, f"{node}.log"))
        self.cluster, self.node = cluster, node
        self.socket = os.path.join(cluster.directory, f"{node}.sock")
        self.arena_directory = os.path.join(cluster.memory, node)
        self.options = {**AGENT_FLAGS, **options}

    def arguments(self):
        return [
            program("ckptd"),
            f"--node={self.node}",
            f"--coordinator={self.cluster.coordinator.address}",
            "--listen=127.0.0.1:0",
            f"--socket={self.socket}",
            f"--arena-directory={self.arena_directory}",
            "--config=/dev/null",
        ] + flags(self.options)

    def wipe(self):
        """What a node loses with its power."""
        assert not self.is_alive()
        shutil.rmtree(self.arena_directory, ignore_errors=True)

    @property
    def arena(self):
        return Arena(self.arena_directory, 2 * MIB)


class Cluster:
    def __init__(self, test, agents=3, coordinator=None, agent=None, per_agent=None):
        self.test = test
        self.directory = tempfile.mkdtemp(prefix=PREFIX)
        self.memory = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=SHM)
        os.chmod(self.directory, 0o755)
        os.chmod(self.memory, 0o755)
        self.files = os.path.join(self.memory, "files")
        os.mkdir(self.files)
        os.chmod(self.files, 0o777)
        self.coordinator = Coordinator(self, coordinator or {})
        self.agents = [
            Agent(self, f"n{i}", {**(agent or {}), **((per_agent or {}).get(i, {}))})
            for i in range(agents)
        ]
        self.ranks = []
        self.truth = {}
        self.count = 0
        test.addCleanup(self.end)

    # ---- life ----

    def start(self, wait_joined=True):
        self.coordinator.start()
        for agent in self.agents:
            agent.start(wait=False)
        for agent in self.agents:
            agent.wait_ready()
        if wait_joined:
            self.wait_joined()
        return self

    def wait_joined(self, agents=None):
        names = {agent.node for agent in (self.agents if agents is None else agents)}
        wait_until(f"{sorted(names)} have joined", lambda: names <= self.joined())

    def joined(self):
        return {node["node"] for node in self.coordinator.ask("nodes")["nodes"] if node["joined"]}

    def daemons(self):
        return [self.coordinator] + self.agents

    def end(self):
        for process in self.ranks:
            process.kill()
        for daemon in self.daemons():
            daemon.kill()
        if self.test.has_failed():
            for daemon in self.daemons():
                print(f"---- {daemon.log}\n{daemon.tail(40)}", flush=True)
            for process in self.ranks:
                if os.path.getsize(process.log) > 0:
                    with open(process.log, encoding="utf-8", errors="replace") as log:
                        print(f"---- {process.log}\n{log.read()[-4000:]}", flush=True)
        if not (self.test.has_failed() and os.environ.get("CKPT_KEEP")):
            shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.memory, ignore_errors=True)

    def check_no_sanitizer_report(self):
        for daemon in self.daemons():
            for line in daemon.lines():
                if (
                    "ERROR: AddressSanitizer" in line
                    or "runtime error:" in line
                    or "Assertion" in line
                ):
                    raise Failure(f"{daemon.name}: {line}")

    # ---- files and truth ----

    def file(self, data=None):
        self.count += 1
        path = os.path.join(self.files, f"{self.count}")
        if data is not None:
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, 0o644)
        return path

    def rank(self):
        self.count += 1
        process = Rank(
            os.path.join(self.directory, f"rank{self.count}.log"), f"rank process {self.count}"
        )
        self.ranks.append(process)
        return process

    # ---- questions ----

    def state(self, run, step):
        try:
            return self.coordinator.ask("show", run, step=step)
        except wire.AdminError:
            return {"state": "none", "shards": [], "degraded": True, "reason": ""}

    def wait_state(self, run, step, state="consistent", timeout=20):
        return wait_until(
            f"{run} step {step} is {state}",
            lambda: (lambda s: s if s["state"] == state else None)(self.state(run, step)),
            timeout,
        )

    def wait_whole(self, run, step, timeout=20):
        """Until each shard has its copies again."""

        def whole():
            state = self.state(run, step)
            return state if state["state"] == "consistent" and not state["degraded"] else None

        return wait_until(f"{run} step {step} is consistent and not degraded", whole, timeout)

    def wait_quiet(self, run, step, timeout=20):
        """Until the step is whole and no copy of it is on its way."""

        def quiet():
            state = self.state(run, step)
            pulling = [
                copy for shard in state["shards"] for copy in shard["copies"] if copy["pulling"]
            ]
            return state["state"] == "consistent" and not state["degraded"] and not pulling

        wait_until(f"{run} step {step} is whole and quiet", lambda: quiet() and quiet(), timeout)

    def holders(self, run, step):
        """{rank: [agent...]} by what the arenas' own files say, whoever is alive."""
        found = {}
        for agent in self.agents:
            if os.path.exists(os.path.join(agent.arena_directory, "index")):
                for record in agent.arena.records():
                    if (
                        (record.run, record.step) == (run, step)
                        and record.state in (2, 4)
                        and record.has_digest
                    ):
                        found.setdefault(record.rank, []).append(agent)
        return found


def payload(*key, size):
    """Bytes that follow from the key alone."""
    return hashlib.shake_128("/".join(str(part) for part in key).encode()).digest(size)


def b3sum(path):
    if shutil.which("b3sum") is None:
        return None
    return subprocess.run(
        ["b3sum", "--no-names", path], check=True, capture_output=True, text=True
    ).stdout.strip()


def safetensors(data):
    """{name: (dtype, shape, bytes)} of a safetensors file, by the format's own rules."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        name: (
            entry["dtype"],
            entry["shape"],
            data[8 + length + entry["data_offsets"][0] : 8 + length + entry["data_offsets"][1]],
        )
        for name, entry in header.items()
    }


__all__ = [
    "Agent",
    "BIN",
    "Cluster",
    "Coordinator",
    "MIB",
    "b3sum",
    "payload",
    "safetensors",
    "sweep",
]
