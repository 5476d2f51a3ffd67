# SPDX-License-Identifier: Apache-2.0
"""No user and no process takes service from another: seats of a node, connections, and what a
process leaves behind when it dies."""

import os
import signal
import socket
import subprocess
import time

import wire
from cluster import MIB, payload
from harness import IntegrationTest, wait_until
from process import environment, program

GREEDY, OTHER = 65534, 65533
SEATS = 8  # ranks_max of these agents
STRANGER_SECONDS = 5  # a connection that never says who it is ends after so long


class Child:
    """A process that runs a function, and may be another user's. It stays until it is killed."""

    def __init__(self, test, function, uid=None):
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(reader)
                if uid is not None:
                    os.setgroups([])
                    os.setgid(uid)
                    os.setuid(uid)
                kept = function()
                os.write(writer, b"x")
                os.close(writer)
                signal.pause()
                del kept
            finally:
                os._exit(1)
        os.close(writer)
        test.addCleanup(self.kill)
        if os.read(reader, 1) != b"x":
            raise AssertionError("the child process failed")
        os.close(reader)

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


class FullQueue(IntegrationTest):
    def test_ckptctl_waits_for_a_place(self):
        """Somebody connects faster than the coordinator accepts: that is no reason to give up."""
        path = os.path.join(self.cluster(0).directory, "full.sock")
        waiting = []
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(0)
            try:
                while len(waiting) < 100:
                    waiting.append(socket.socket(socket.AF_UNIX))
                    waiting[-1].setblocking(False)
                    waiting[-1].connect(path)
            except BlockingIOError:
                pass
            self.assertLess(len(waiting), 100)
            process = subprocess.Popen(
                [program("ckptctl"), "status", f"--coordinator={path}", "--config=/dev/null"],
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
            )
            self.addCleanup(process.kill)
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(0.5)
            for _ in range(len(waiting)):  # the last of them is ckptctl
                listener.accept()[0].close()
            self.assertNotIn("Resource temporarily", process.communicate(timeout=20)[1])
        for client in waiting:
            client.close()


def open_body(run, rank, world, attempt=1):
    return wire.body(f1=run, f2=attempt, f3=rank, f4=world, f5=1)


class Seats(IntegrationTest):
    def start(self):
        self.need_root()
        cluster = self.cluster(1, agent={"agent-ranks-max": str(SEATS)})
        self.socket = cluster.agents[0].socket
        return cluster

    def assert_served(self, cluster):
        """Another user's rank, and root's hook."""
        process = cluster.rank()
        process.must("become", OTHER)
        process.must("open", self.socket, "run", 1, 0, 1, 1, 20000, "rank")
        hook = subprocess.run(
            [program("ckptctl"), "job", "begin", "cluster/77", "run", "--attempt=1"],
            env=environment(CKPT_SOCKET=self.socket),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(hook.returncode, 0, hook.stderr)
        process.kill()

    def test_idle_connections_of_one_user(self):
        cluster = self.start()

        def connect():
            held = []
            for _ in range(10 * SEATS):
                try:
                    held.append(wire.Client(self.socket))
                except OSError:
                    break
            return held

        Child(self, connect, GREEDY)
        self.assert_served(cluster)
        # They end: the same user may come again, and say who he is.
        time.sleep(STRANGER_SECONDS + 1)
        process = cluster.rank()
        process.must("become", GREEDY)
        process.must("open", self.socket, "greedy", 1, 0, 1, 1, 20000, "rank")
        self.assert_served(cluster)

    def test_ranks_of_one_user(self):
        cluster = self.start()
        def connect():
            held = []
            for rank in range(3 * SEATS):
                try:
                    client = wire.Client(self.socket)
                    client.send(wire.RANK_OPEN, open_body(b"greedy", rank, 3 * SEATS))
                    held.append(client)
                except OSError:
                    break
            return held

        child = Child(self, connect, GREEDY)
        self.assert_served(cluster)
        process = cluster.rank()
        process.must("become", GREEDY)
        reply = process.call("open", self.socket, "mine", 1, 0, 1, 1, 3000, "rank")
        self.assert_status(reply, "CKPT_ERR_FULL", "CKPT_ERR_NO_AGENT")
        child.kill()
        wait_until(
            "the seats are free again",
            lambda: process.call("open", self.socket, "mine", 1, 0, 1, 1, 3000, "rank").ok,
        )

    def test_strangers_at_the_coordinator(self):
        cluster = self.start()

        def connect():
            return [wire.Client(cluster.coordinator.address) for _ in range(900)]

        Child(self, connect, GREEDY)
        cluster.agents[0].terminate()
        cluster.agents[0].start()
        cluster.wait_joined()
        process = cluster.rank()
        process.must("open", self.socket, "run", 1, 0, 1, 1, 5000, "rank")
        process.must("save_bytes", 1, cluster.file(b"x" * 1000))
        process.must("wait", 1, 20000)


class Runs(IntegrationTest):
    """runs_max is 8: one user may have six of them."""

    def begin(self, cluster, uid, run):
        process = cluster.rank()
        process.must("become", uid)
        process.must("open", cluster.agents[0].socket, run, 1, 0, 1, 1, 20000, "rank")
        saved = process.call("save_bytes", 1, self.file)
        ended = process.call("wait", 1, 20000) if saved.ok else saved
        process.kill()
        return ended

    def test_many_small_runs_of_one_user(self):
        self.need_root()
        cluster = self.cluster(1, coordinator={"runs-max": "8"})
        self.file = cluster.file(b"x" * 1000)
        ends = [self.begin(cluster, GREEDY, f"greedy{i}") for i in range(9)]
        self.assertEqual([end.ok for end in ends], [True] * 6 + [False] * 3)
        for end in ends[6:]:
            self.assert_status(end, "CKPT_ERR_FULL")
            self.assertIn("user_share", end.reason)
        self.assertTrue(self.begin(cluster, OTHER, "mine").ok)
        # A start takes what the records hold, and the shares hold on.
        cluster.coordinator.kill()
        cluster.coordinator.start()
        cluster.wait_joined()
        self.assertFalse(self.begin(cluster, GREEDY, "one-more").ok)


    def test_many_runs_fill_no_node(self):
        """Of 32 segments their newest checkpoints take 24, and the one that is being told of. Each
        takes a whole segment: it is too large for a part of one."""
        self.need_root()
        cluster = self.cluster(1)
        self.file = cluster.file(b"x" * (3 * MIB // 2))
        ends = [self.begin(cluster, GREEDY, f"greedy{i}") for i in range(30)]
        self.assertTrue(all(end.ok for end in ends[:24]), ends)
        self.assertFalse(ends[29].ok, ends)
        self.assertIn("user_share", ends[29].reason)
        self.assertTrue(self.begin(cluster, OTHER, "mine").ok)


class Expiry(IntegrationTest):
    def runs(self, cluster):
        return {run["run"]: run for run in cluster.coordinator.ask("runs")["runs"]}

    def expire(self, last):
        cluster = self.cluster(
            2, coordinator={"expire": "2s", "expire-last": "yes" if last else "no", "keep": "3"}
        )
        job = self.job(cluster)
        for step in (1, 2, 3):
            job.commit(step)
        time.sleep(3)  # longer than that: its ranks are connected
        self.assertEqual(cluster.coordinator.events("run_expired"), [])
        for process in job.ranks:
            process.kill()
        wait_until("it expires", lambda: cluster.coordinator.events("run_expired"))
        cluster.coordinator.kill()
        cluster.coordinator.start()
        cluster.wait_joined()
        return cluster

    def test_the_newest_stays(self):
        cluster = self.expire(False)
        listed = cluster.coordinator.ask("list", "run")["checkpoints"]
        self.assertEqual([k["step"] for k in listed], [3])
        self.job(cluster, attempt=2).ranks[0].kill()

    def test_nothing_stays_where_the_site_says_so(self):
        cluster = self.expire(True)
        self.assertEqual(self.runs(cluster).get("run", {}).get("checkpoints", 0), 0)


class ForkedChild(IntegrationTest):
    """A child of a dead trainer holds its socket and its memory."""

    def half_a_save(self, socket):
        """A rank that has been granted a slot and is killed; its child lives on."""

        def begin():
            client = wire.Client(socket)
            client.ask(wire.RANK_OPEN, open_body(b"run", 0, 1), wire.RANK_OPENED)
            client.ask(wire.SLOT_ASK, wire.body(f1=1, f2=40 * MIB), wire.SLOT_GRANTED)
            if os.fork() == 0:
                time.sleep(300)
                os._exit(0)
            return client

        return Child(self, begin)

    def test_frees_seat_and_slot(self):
        cluster = self.cluster(1, agent={"arena-bytes": "64MiB"})
        agent = cluster.agents[0]
        trainer = self.half_a_save(agent.socket)
        with open(f"/proc/{trainer.pid}/task/{trainer.pid}/children", encoding="ascii") as file:
            children = [int(pid) for pid in file.read().split()]
        self.assertEqual(len(children), 1, "the trainer has a child")
        self.addCleanup(os.kill, children[0], signal.SIGKILL)
        trainer.kill()
        process = cluster.rank()
        # The same rank number of the same attempt, and more memory than is left beside the slot.
        process.must("open", agent.socket, "run", 1, 0, 1, 1, 20000, "rank")
        path = cluster.file(payload("after", size=40 * MIB))
        wait_until("the slot is free", lambda: process.call("save_bytes", 2, path).ok)
        process.must("wait", 2, 20000)
