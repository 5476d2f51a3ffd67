#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""engine.py [TEST]... - the whole engine over RDMA, in the two machines of vm.py.

Guest 1 has the coordinator, the owner's agent n0, and n2, which is started when n0 is dead; all
ranks run there. Guest 2 has n1, the holder, and does what guest 1 orders by files of the folder
that both see. n0 and n2 are one failure domain, so the second copy can only be n1's, by the rails
between the machines. Control goes by m0, which no test cuts.
"""

import fcntl
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../integration/cluster"))

from cluster import MIB, Agent, Cluster  # noqa: E402
from harness import IntegrationTest  # noqa: E402
from process import Failure, wait_until  # noqa: E402

EXCHANGE = os.environ.get("CKPT_VM_EXCHANGE", "")
TRANSPORT = os.environ.get("CKPT_TEST_TRANSPORT", "verbs")
SHARD = 16 * MIB
TRAFFIC_CLASS = 104  # DSCP 26
ROCE_PORT = 4791
SO_RCVBUFFORCE = 33  # as root, beyond rmem_max
RAILS = ("v0", "v1")
SIX = os.environ.get("CKPT_VM_FAMILY") == "6"
PROTOCOL = 0x86DD if SIX else 0x0800  # of Ethernet
CONTROL = "[fd00:78:0::{}]" if SIX else "10.78.0.{}"
BOUND_S = 10  # from a fault to success or to an error: no hang, not a bar on speed
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


# ---- both ----


def put(name, value):
    path = os.path.join(EXCHANGE, name)
    with open(path + ".draft", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.rename(path + ".draft", path)


def get(name):
    try:
        with open(os.path.join(EXCHANGE, name), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def received():
    total = 0
    for rail in RAILS:
        with open(f"/sys/class/net/{rail}/statistics/rx_bytes", encoding="ascii") as file:
            total += int(file.read())
    return total


def set_link(rail, state):
    """At once: a program would take longer to start than a pull takes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as some:
        name = struct.pack("16sh22x", rail.encode(), 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(some, SIOCGIFFLAGS, name))[1]
        flags = flags | IFF_UP if state == "up" else flags & ~IFF_UP
        fcntl.ioctl(some, SIOCSIFFLAGS, struct.pack("16sh22x", rail.encode(), flags))


# ---- guest 2 ----


class Servant:
    """Does what guest 1 orders; each order is a method with its arguments."""

    def __init__(self):
        self.processes = {}

    def run(self):
        number = 1
        while True:
            order = get(f"order.{number}")
            if order is None:
                time.sleep(0.02)
                continue
            if order == ["end"]:
                return 0
            try:
                answer = getattr(self, "do_" + order[0])(*order[1:])
            except OSError as error:
                answer = str(error)
            put(f"answer.{number}", answer)
            number += 1

    def do_start(self, name, log, arguments):
        with open(log, "ab") as file:
            self.processes[name] = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        return self.processes[name].pid

    def do_poll(self, name):
        return self.processes[name].poll()

    def do_signal(self, name, number):
        self.processes[name].send_signal(number)

    def do_wait(self, name):
        return self.processes[name].wait()

    def do_received(self):
        return received()

    def do_links(self, rails, state):
        for rail in rails:
            set_link(rail, state)

    def do_capture(self, rail):
        """From now on what comes by the rail is kept, as much as the socket holds."""
        self.capture = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(PROTOCOL))
        self.capture.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 * MIB)
        self.capture.bind((rail, PROTOCOL))

    def do_traffic_classes(self):
        """What the packets of RoCE that were captured say in their IP headers."""
        found = set()
        with self.capture:
            self.capture.setblocking(False)
            try:
                while True:
                    packet = self.capture.recv(8192)
                    # Headers of 40 and of 20 bytes; UDP's port of destination is its second.
                    to_port = int.from_bytes(packet[42:44] if SIX else packet[22:24], "big")
                    protocol = packet[6] if SIX else packet[9]
                    if protocol == socket.IPPROTO_UDP and to_port == ROCE_PORT:
                        word = int.from_bytes(packet[0:2], "big")
                        found.add(word >> 4 & 0xFF if SIX else word & 0xFF)
            except BlockingIOError:
                return sorted(found)

    def await_bytes(self, more):
        """In the middle of a pull: when `more` bytes have come, by whichever rail; how many had."""
        begin, deadline = received(), time.monotonic() + 60
        while received() < begin + more:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.002)
        return received() - begin

    def do_links_down_after(self, rails, more):
        came = self.await_bytes(more)
        self.do_links(rails, "down")
        return came

    def do_take_device_after(self, device, more):
        """How long the kernel takes to delete it: until nobody holds anything of it."""
        if self.await_bytes(more) is None:
            return None
        begin = time.monotonic()
        try:
            subprocess.run(["rdma", "link", "delete", device], check=True, timeout=60)
        except subprocess.SubprocessError as error:
            return str(error)
        return time.monotonic() - begin

    def do_make_device(self, device, interface):
        words = ["rdma", "link", "add", device, "type", "rxe", "netdev", interface]
        return subprocess.run(words, check=False).returncode


# ---- guest 1 ----


class Far:
    """The other machine."""

    number = 0

    @classmethod
    def send(cls, *order):
        cls.number += 1
        put(f"order.{cls.number}", list(order))
        return cls.number

    @classmethod
    def answer(cls, number, seconds=120):
        name = f"answer.{number}"
        path = os.path.join(EXCHANGE, name)
        wait_until(f"answer to order {number}", lambda: os.path.exists(path), seconds)
        return get(name)

    @classmethod
    def do(cls, *order):
        return cls.answer(cls.send(*order))


class NearAgent(Agent):
    here = CONTROL.format(1)

    def arguments(self):
        words = super().arguments()
        return [f"--listen={self.here}:0" if w.startswith("--listen=") else w for w in words]


class FarAgent(NearAgent):
    """One on guest 2. Its log is in the folder that both see."""

    here = CONTROL.format(2)
    life = 0

    def __init__(self, cluster, node, options):
        super().__init__(cluster, node, options)
        FarAgent.life += 1
        self.log = os.path.join(EXCHANGE, f"{node}.{FarAgent.life}.log")
        self.socket = f"/run/{node}.{FarAgent.life}.sock"
        self.arena_directory = f"/dev/shm/{node}.{FarAgent.life}"
        self.alive = False

    def start(self, fault=None, wait=True):
        self.from_line = len(self.lines())
        Far.do("start", self.node, self.log, self.arguments())
        self.alive = True
        if wait:
            self.wait_ready()
        return self

    def is_alive(self):
        return self.alive and Far.do("poll", self.node) is None

    def signal(self, number):
        Far.do("signal", self.node, int(number))

    def kill(self):
        if self.alive:
            self.signal(signal.SIGKILL)
            Far.do("wait", self.node)
            self.alive = False


class Engine(IntegrationTest):
    def setUp(self):
        for rail in RAILS:
            set_link(rail, "up")
        Far.do("links", RAILS, "up")

    def start(self):
        cluster = Cluster(self, agents=0, coordinator={"lease": "6s", "save-timeout": "120s"})
        options = {
            "transport": TRANSPORT,
            "transport-devices": None,
            "agent-pull-timeout": "20s",
            "transport-timeout": "6s",  # a machine among many stands still for seconds
            "transport-traffic-class": TRAFFIC_CLASS,
            "log-level": "debug",
        }
        cluster.coordinator.address = CONTROL.format(1) + ":0"
        cluster.agents = [
            NearAgent(cluster, "n0", {**options, "domain": "one"}),
            FarAgent(cluster, "n1", {**options, "domain": "two"}),
            NearAgent(cluster, "n2", {**options, "domain": "one"}),
        ]
        self.owner, self.holder, self.spare = cluster.agents
        cluster.coordinator.start()
        self.owner.start(wait=False)
        self.holder.start()
        self.owner.wait_ready()
        cluster.wait_joined([self.owner, self.holder])
        return cluster

    def attempt(self, cluster, number, agent, *steps):
        """A job of one rank, whose shard is SHARD bytes."""
        job = self.job(cluster, attempt=number, on=[agent])
        for step in steps:
            bytes_of = random.Random(f"{number}/{step}").randbytes(SHARD)
            cluster.truth[(None, "run", number, step, 0)] = bytes_of
        return job

    def expect_consistent(self, cluster, job, step, timeout_ms=90000):
        reply = job.wait(step, timeout_ms)[0]
        self.assertTrue(reply is not None and reply.ok, reply)
        state = cluster.state("run", step)
        nodes = {
            c["node"] for s in state["shards"] for c in s["copies"] if c["state"] == "verified"
        }
        self.assertEqual(nodes, {"n0", "n1"}, state)

    def test_the_owner_dies_and_its_shard_comes_from_the_peer(self):
        cluster = self.start()
        before = Far.do("received")
        job = self.attempt(cluster, 1, self.owner, 1)
        Far.do("capture", "v0")
        begin = time.monotonic()
        job.commit(1, timeout_ms=90000)
        self.expect_consistent(cluster, job, 1)
        took = time.monotonic() - begin
        self.assertIn(TRAFFIC_CLASS, Far.do("traffic_classes"))
        self.assertGreater(Far.do("received") - before, SHARD, "the copy did not come by the rails")
        self.owner.kill()
        self.owner.wipe()
        job.close()
        before = received()  # the coordinator may have it repaired before anyone asks for it
        self.spare.start()
        cluster.wait_joined([self.spare, self.holder])
        begin = time.monotonic()
        again = self.attempt(cluster, 2, self.spare)
        self.assertEqual(again.restore(timeout_ms=90000), 1)
        self.assertGreater(received() - before, SHARD, "the shard did not come by the rails")
        print(
            f"{SHARD // MIB} MiB: consistent after {took:.1f} s, restored after "
            f"{time.monotonic() - begin:.1f} s",
            flush=True,
        )

    def expect_error(self, begin):
        """A pull that has lost all its rails is given up."""
        wait_until("the pull is given up", lambda: self.holder.events("pull_failed"), BOUND_S, 0.05)
        took = time.monotonic() - begin
        reason = self.holder.events("pull_failed")[0].get("text")
        print(f"all rails cut -> {reason} -> {took:.1f} s", flush=True)
        self.assertLess(took, BOUND_S)

    def cut(self, rails, seconds):
        """Saves; cuts the holder's rails in mid-pull; brings them up; the save must become whole.

        A first save connects: Soft-RoCE loses a connection that is being made for good."""
        cluster = self.start()
        job = self.attempt(cluster, 1, self.owner, 2, 3)
        job.commit(1, size=MIB)
        order = Far.send("links_down_after", rails, 2 * MIB)
        job.save(2)
        came = Far.answer(order)
        self.assertIsNotNone(came, "the pull has not begun")
        self.assertLess(came, SHARD * 3 // 4, "the pull was almost over when it was cut")
        begin = time.monotonic()
        if seconds is not None:
            self.expect_error(begin)
            time.sleep(max(0.0, begin + seconds - time.monotonic()))
            Far.do("links", rails, "up")
        self.expect_consistent(cluster, job, 2)
        took = time.monotonic() - begin
        print(f"cut {'+'.join(rails)}: consistent {took:.1f} s later", flush=True)
        if seconds is None:
            self.wait_rails(cluster, len(RAILS) - len(rails))
        Far.do("links", rails, "up")
        self.wait_rails(cluster, len(RAILS))
        self.assertTrue(self.holder.events("verbs_rail_down"), "the cut was not noticed")
        job.commit(3, timeout_ms=90000)
        self.assertEqual(job.restore(timeout_ms=90000), 3)
        return cluster

    def wait_rails(self, cluster, up):
        """What `ckptctl nodes` says of the holder's rails."""

        def seen():
            nodes = {n["node"]: n for n in cluster.coordinator.ask("nodes")["nodes"]}
            return (nodes["n1"]["rails"], nodes["n1"]["rails_up"]) == (len(RAILS), up)

        wait_until(f"the coordinator knows {up} rails of n1", seen, 30)

    def test_one_rail_is_cut_for_good(self):
        self.cut(["v1"], None)
        self.assertEqual(self.holder.events("pull_failed"), [], "the other rail was there")

    def test_a_device_is_taken_away_in_mid_pull(self):
        """The other one carries on, and nobody waits for ever."""
        cluster = self.start()
        job = self.attempt(cluster, 1, self.owner, 2, 3)
        job.commit(1, size=MIB)
        order = Far.send("take_device_after", "rxe1", 2 * MIB)
        job.save(2)
        took = Far.answer(order)
        Far.do("make_device", "rxe1", "v1")
        self.assertIsInstance(took, float, took)
        self.expect_consistent(cluster, job, 2)
        print(f"device taken away: gone after {took:.1f} s", flush=True)
        self.assertLess(took, BOUND_S)
        self.assertEqual(len(self.holder.events("verbs_device_gone", rail="rxe1:1")), 1)
        self.assertEqual(self.holder.events("pull_failed"), [], "the other rail was there")
        job.commit(3, timeout_ms=90000)
        self.assertEqual(job.restore(timeout_ms=90000), 3)

    def test_all_rails_are_cut_and_come_back(self):
        self.cut(list(RAILS), 9)

    def test_the_owners_agent_is_stopped_in_mid_pull(self):
        """Its processor takes no part: the bytes come all the same, the verdict when it goes on."""
        cluster = self.start()
        job = self.attempt(cluster, 1, self.owner, 1)
        before = Far.do("received")
        job.save(1)
        wait_until("the pull has begun", lambda: Far.do("received") - before > MIB, 10, 0.002)
        self.owner.pause()
        print(f"stopped after {Far.do('received') - before} of {SHARD} bytes", flush=True)
        wait_until("the pull has ended", lambda: Far.do("received") - before > SHARD, 10)
        self.owner.resume()
        self.expect_consistent(cluster, job, 1)


def main():
    guest = os.environ.get("CKPT_VM_GUEST")
    if guest is None or os.environ.get("CKPT_VM_GUESTS") != "2":
        print("skipped: this runs in the two machines of tests/vm/vm.py")
        return 77
    if guest == "2":
        return Servant().run()
    try:
        names = [f"Engine.{name}" for name in sys.argv[1:]]
        loader = unittest.defaultTestLoader
        me = sys.modules[__name__]
        suite = loader.loadTestsFromNames(names, me) if names else loader.loadTestsFromModule(me)
        result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout, failfast=True).run(suite)
        return 0 if result.wasSuccessful() else 1
    finally:
        Far.send("end")


__all__ = ["Failure"]

if __name__ == "__main__":
    sys.exit(main())
