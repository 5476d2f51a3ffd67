# SPDX-License-Identifier: Apache-2.0
"""The order of starting: what can be refused is refused before memory is touched or records are
written, nobody is served before all is there, and a start that failed leaves nothing."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time

from cluster import MIB, Agent
from harness import IntegrationTest, wait_until
from process import environment, program

PR_CAPBSET_DROP, CAP_IPC_LOCK = 24, 14


def without_locking():
    """A process that may lock next to nothing, be it root's."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0)


class Order(IntegrationTest):
    def setUp(self):
        self.site = self.cluster(1)
        self.first = self.site.agents[0]

    def agent(self, node, **options):
        """Another agent, not started."""
        agent = Agent(self.site, node, options)
        self.site.agents.append(agent)
        return agent

    def start(self, agent, preexec=None):
        """A start that is to fail: (exit code, the last not_started line)."""
        with open(agent.log, "ab") as log:
            code = subprocess.run(agent.arguments(), stdout=log, stderr=log, check=False,
                                  timeout=60, env=environment(), preexec_fn=preexec).returncode
        lines = [line for line in agent.lines() if "event=not_started" in line]
        return code, lines[-1] if lines else ""

    def assert_no_arena(self, agent):
        self.assertFalse(os.path.exists(agent.arena_directory), os.listdir(self.site.memory))


class Agents(Order):
    def test_a_second_agent_is_refused_before_it_has_an_arena(self):
        address = self.first.events("ready")[0]["address"]
        for name, options, reason in (
            ("socket", {"socket": self.first.socket}, "another process listens at"),
            ("listen", {"listen": address}, "Address already in use"),
            ("arena", {"arena-directory": self.first.arena_directory}, "has the arena"),
        ):
            agent = self.agent(name, **options)
            code, said = self.start(agent)
            self.assertEqual(code, 1, said)
            self.assertIn(reason, said)
            self.assert_no_arena(agent)
            self.assertNotIn("event=arena_progress", agent.tail(99))
        self.assertTrue(self.first.is_alive())
        job = self.job(self.site, on=[self.first], copies=1)
        job.commit(1)

    def test_nobody_is_served_before_it_is_ready(self):
        agent = self.agent("slow", **{"arena-bytes": "512MiB"})
        agent.start(wait=False)
        deadline = time.monotonic() + 60
        while True:
            self.assertLess(time.monotonic(), deadline)
            with socket.socket(socket.AF_UNIX) as rank:
                try:
                    rank.connect(agent.socket)
                except (FileNotFoundError, ConnectionRefusedError):
                    continue
            break
        self.assertTrue(agent.events("adopted"))
        agent.wait_ready()

    def test_its_socket_is_taken_while_it_starts(self):
        agent = self.agent("slow", **{"arena-bytes": "512MiB"})
        agent.start(wait=False)
        wait_until("it has its socket", lambda: os.path.exists(agent.socket), every=0.001)
        second = self.agent("second", socket=agent.socket)
        code, said = self.start(second)
        self.assertEqual(code, 1, said)
        self.assertIn("another process listens at", said)
        self.assert_no_arena(second)
        agent.wait_ready()

    def test_it_makes_the_directory_of_its_socket(self):
        path = os.path.join(self.site.directory, "run", "a.sock")
        agent = self.agent("maker", socket=path)
        agent.start()
        self.assertEqual(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o755)
        self.assertEqual(agent.terminate(), 0)
        self.assertEqual(os.listdir(os.path.dirname(path)), [])
        deep = self.agent("deep", socket=os.path.join(self.site.directory, "no/such/a.sock"))
        code, said = self.start(deep)
        self.assertEqual(code, 1, said)
        self.assertIn("is not there and cannot be made", said)
        self.assert_no_arena(deep)

    def test_a_failed_start_leaves_nothing(self):
        for name, options, exit_code, reason in (
            ("transport", {"transport": "ucx:nosuch"}, None, ""),
            ("room", {"arena-bytes": "60TiB", "arena-segment-bytes": "64GiB"}, 1, "GiB more"),
            ("numa", {"arena-numa-nodes": "1023"}, 2, "NUMA"),
        ):
            agent = self.agent(name, **options)
            code, said = self.start(agent)
            self.assertIn(code, (1, 2) if exit_code is None else (exit_code,), said)
            self.assertIn(reason, said)
            self.assert_no_arena(agent)
        agent = self.agent("locked", **{"arena-lock": "require"})
        code, said = self.start(agent, without_locking)
        self.assertEqual(code, 2, said)
        self.assertIn("LimitMEMLOCK", said)
        self.assert_no_arena(agent)

    def test_a_stop_while_the_arena_is_taken(self):
        agent = self.agent("stopped", **{"arena-bytes": "1GiB"})
        agent.start(wait=False)
        first = os.path.join(agent.arena_directory, "segment-0000")
        wait_until("it takes its arena", lambda: os.path.exists(first), every=0.0005)
        agent.signal(signal.SIGHUP)  # is no reason to end
        agent.signal(signal.SIGTERM)
        self.assertEqual(agent.wait_dead(), 0)
        if not agent.events("ready"):
            self.assertTrue(agent.events("stopping"))
            self.assertFalse(agent.events("not_started"))
            self.assert_no_arena(agent)
        self.assertFalse(os.path.exists(agent.socket))

    def test_an_arena_of_a_former_life_stays(self):
        job = self.job(self.site, copies=1)
        job.commit(1, size=3 * MIB)
        self.first.terminate()
        for options in ({"transport": "ucx:nosuch"}, {"arena-bytes": "32MiB"},
                        {"listen": self.site.coordinator.address}):
            kept = dict(self.first.options)
            self.first.options.update(options)
            code, said = self.start(self.first)
            self.first.options = kept
            self.assertNotEqual(code, 0, said)
            self.assertTrue(os.path.exists(os.path.join(self.first.arena_directory, "index")))
        self.first.start()
        self.assertEqual(self.first.events("adopted", this_life=True)[0]["slots"], "1")

    def test_too_little_room_names_the_other_arenas(self):
        used = self.agent("used", **{
            "arena-directory": os.path.join(self.site.memory, "ckptd-used")})
        used.start()
        left = self.agent("left", **{
            "arena-directory": os.path.join(self.site.memory, "ckptd-left")})
        left.start()
        left.kill()
        large = self.agent("large", **{
            "arena-directory": os.path.join(self.site.memory, "ckptd-large"),
            "arena-bytes": "60TiB", "arena-segment-bytes": "64GiB"})
        code, said = self.start(large)
        self.assertEqual(code, 1, said)
        self.assertIn("ckptd-used (0.06 GiB, an agent has it)", said)
        self.assertIn("ckptd-left (0.06 GiB, used by nobody)", said)
        beside = {os.path.basename(event["path"]): event for event in large.events("arena_beside")}
        self.assertEqual({name: event["in_use"] for name, event in beside.items()},
                         {"ckptd-used": "yes", "ckptd-left": "no"})
        for event in beside.values():
            self.assertGreaterEqual(int(event["bytes"]), 64 * MIB)
        self.assertFalse(os.path.exists(os.path.join(self.site.memory, "ckptd-large")))
        # Looking has taken nothing from who starts meanwhile.
        left.start()


class Locked(Order):
    def test_an_arena_that_is_not_locked_is_said(self):
        agent = self.agent("loose")
        with open(agent.log, "ab") as log:
            agent.popen = subprocess.Popen(agent.arguments(), stdout=log, stderr=log,
                                           env=environment(), preexec_fn=without_locking)
        agent.wait_ready()
        warning = agent.events("arena_not_locked")[0]
        self.assertEqual(warning["level"], "warn")
        self.assertIn("LimitMEMLOCK=infinity", warning["text"])
        self.assertEqual(agent.events("arena_open")[0]["locked"], "no")
        self.site.wait_joined()
        locked = {node["node"]: node["locked"]
                  for node in self.site.coordinator.ask("nodes")["nodes"]}
        self.assertIs(locked["loose"], False)
        # As this process is allowed, or not, so is the first agent.
        first = self.first.events("arena_open")[0]["locked"] == "yes"
        self.assertIs(locked["n0"], first)
        said = subprocess.run(
            [program("ckptctl"), "nodes", f"--coordinator={self.site.coordinator.socket}"],
            capture_output=True, text=True, check=True, env=environment()).stdout.splitlines()
        column = said[0].index("LOCKED")
        shown = {line.split()[0]: line[column:].split()[0] for line in said[1:]}
        self.assertEqual(shown, {"n0": "yes" if first else "no", "loose": "no"})


class Coordinator(Order):
    """What it refuses at its start, it refuses before it has written a record."""

    def epoch(self):
        return int(self.site.coordinator.events("ready", this_life=True)[0]["epoch"])

    def fail(self, **options):
        coordinator = self.site.coordinator
        arguments = coordinator.arguments() + [f"--{key}={value}" for key, value in options.items()]
        said = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False,
                              env=environment())
        return said.returncode, said.stdout + said.stderr

    def test_an_address_that_is_taken(self):
        coordinator = self.site.coordinator
        before = self.epoch()
        coordinator.terminate()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            fresh = os.path.join(self.site.directory, "fresh")
            for directory in (coordinator.state_directory, fresh):
                code, said = self.fail(**{"listen": address, "state-directory": directory})
                self.assertEqual(code, 1, said)
                self.assertIn("event=listen_failed", said)
                self.assertIn("Address already in use", said)
            code, said = self.fail(**{"socket": "/no/such/place/c.sock", "state-directory": fresh})
            self.assertEqual(code, 1, said)
            self.assertFalse(os.path.exists(fresh))
        coordinator.start()
        self.assertEqual(self.epoch(), before + 1)

    def test_an_address_that_is_lost_while_it_starts(self):
        coordinator = self.site.coordinator
        before = self.epoch()
        coordinator.terminate()
        host, port = coordinator.address.split(":")
        with socket.socket() as other:
            coordinator.start(fault="coordinator_after_replay=stop", wait=False)
            wait_until("its records are read", coordinator.is_stopped)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((host, int(port)))
            other.listen()
            coordinator.resume()
            self.assertEqual(coordinator.wait_dead(), 1)
            self.assertTrue(coordinator.events("listen_failed", this_life=True))
        coordinator.start()
        self.assertEqual(self.epoch(), before + 1)

    def test_nobody_is_served_before_it_rules(self):
        coordinator = self.site.coordinator
        coordinator.terminate()
        coordinator.start(fault="coordinator_after_replay=stop", wait=False)
        wait_until("its records are read", coordinator.is_stopped)
        host, port = coordinator.address.split(":")
        with socket.socket(socket.AF_UNIX) as local, socket.socket() as remote:
            self.assertRaises(ConnectionRefusedError, local.connect, coordinator.socket)
            self.assertRaises(ConnectionRefusedError, remote.connect, (host, int(port)))
        coordinator.resume()
        coordinator.wait_ready()
        self.site.wait_joined()
