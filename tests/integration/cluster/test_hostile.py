# SPDX-License-Identifier: Apache-2.0
"""Clients that break every rule on the agent's sockets: it survives, others are unharmed, it is
logged.

After each attack a job that was there before commits another step and restores it.
"""

import mmap
import os
import pickle
import socket
import time

import wire
from cluster import MIB
from harness import IntegrationTest, wait_until
from wire import Client, Closed, body

ALICE, BOB = 40001, 40002
CANARY = b"CANARY-OF-ALICE-"


def as_user(uid, function):
    """Runs function in a child with this user id; its result, or its exception."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(uid)
            os.setuid(uid)
            result = function()
        except BaseException as error:  # the parent raises it
            result = RuntimeError(repr(error))
        os.write(writing, pickle.dumps(result))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        data = file.read()
    os.waitpid(child, 0)
    result = pickle.loads(data)
    if isinstance(result, RuntimeError):
        raise result
    return result


class Hostile(IntegrationTest):
    agent_options = {"arena-bytes": "32MiB"}

    def setUp(self):
        self.tested = self.cluster(2, agent=self.agent_options)
        self.agent = self.tested.agents[0]
        self.good = self.job(self.tested)
        self.good.commit(1)
        self.step = 1
        self.pids = [daemon.popen.pid for daemon in self.tested.daemons()]

    def tearDown(self):
        if self.has_failed():
            return
        self.unharmed()

    def unharmed(self):
        for daemon, pid in zip(self.tested.daemons(), self.pids):
            self.assertTrue(daemon.is_alive() and daemon.popen.pid == pid, f"{daemon.name} died")
        self.assertEqual(self.good.restore(), self.step)
        self.step += 1
        self.good.commit(self.step)
        self.assertEqual(self.good.restore(), self.step)

    def connect(self):
        return Client(self.agent.socket)

    def opened(self, run="evil", rank=0, world=1):
        client = self.connect()
        answer = client.ask(
            wire.RANK_OPEN,
            body(f1=run.encode(), f2=1, f3=rank, f4=world, f5=2),
            wire.RANK_OPENED,
        )
        self.assertEqual(answer.get(1, 0), 0, answer)
        return client

    def granted(self, client, step=1, size=3 * MIB):
        answer = client.ask(wire.SLOT_ASK, body(f1=step, f2=size), wire.SLOT_GRANTED)
        self.assertEqual(answer.get(1, 0), 0, answer)
        return answer.get(4, 0), answer[5]

    # ---- bytes ----

    def test_bytes_that_are_no_frames(self):
        good = wire.frame(wire.RANK_OPEN, body(f1=b"evil", f4=1))
        attacks = {
            "garbage": os.urandom(4096),
            "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "magic": wire.frame(wire.RANK_OPEN, b"", magic=b"CKPX"),
            "checksum": wire.frame(wire.RANK_OPEN, body(f1=b"evil"), crc=1),
            "huge": wire.frame(wire.RANK_OPEN, b"", length=2**32 - 1),
            "above the limit": wire.frame(wire.RANK_OPEN, b"", length=4 * MIB + 1),
            "unknown type": wire.frame(999),
            "no protobuf": wire.frame(wire.RANK_OPEN, b"\xff" * 50),
            "long name": wire.frame(wire.RANK_OPEN, body(f1=b"a" * 1000, f4=1)),
            "name with NUL": wire.frame(wire.RANK_OPEN, body(f1=b"a\0b", f4=1)),
            "a flipped bit": good[:-2] + bytes([good[-2] ^ 1]) + good[-1:],
        }
        for name, data in attacks.items():
            with self.subTest(attack=name), self.connect() as client:
                before = len(self.agent.lines())
                client.send_raw(data)
                self.assertTrue(client.is_closed(), "the connection stays open")
                wait_until("it is logged", lambda: len(self.agent.lines()) > before)

    def test_another_version_is_told_so(self):
        with self.connect() as client:
            client.send_raw(wire.frame(wire.RANK_OPEN, body(f1=b"evil"), version=wire.VERSION + 1))
            kind, data = client.receive()
            self.assertEqual(kind, wire.RANK_OPENED)
            self.assertEqual(wire.parse(data)[1], 11, "CKPT_ERR_VERSION")

    def test_half_frames(self):
        data = wire.frame(wire.RANK_OPEN, body(f1=b"evil", f4=1))
        clients = []
        for length in (1, 5, 47, 48, len(data) - 1):
            client = self.connect()
            client.send_raw(data[:length])
            clients.append(client)
        self.unharmed()
        for client in clients:
            client.close()

    def test_a_frame_byte_by_byte(self):
        with self.connect() as client:
            for byte in wire.frame(
                wire.RANK_OPEN, body(f1=b"slow", f4=1), incarnation=os.urandom(16)
            ):
                client.send_raw(bytes([byte]))
            kind, data = client.receive()
            self.assertEqual((kind, wire.parse(data).get(1, 0)), (wire.RANK_OPENED, 0))

    # ---- messages out of place ----

    def test_messages_of_others(self):
        """What only agents and coordinators say, and what a rank may say only after it opened."""
        key = body(f1=body(f1=0, f2=b"run"), f2=1, f3=1, f4=0)
        for kind, data in (
            (wire.SLOT_ASK, body(f1=1, f2=100)),
            (wire.SEAL, body(f1=1, f2=0, f3=1)),
            (wire.LOAD_ASK, body(f4=1, f7=1, f8=1)),
            (wire.JOIN, body(f1=1, f2=b"n9")),
            (wire.SHARD_REPORT, body(f1=key, f2=1, f3=1, f4=1, f5=1, f6=3, f10=b"x" * 32)),
            (wire.PULL_ORDER, body(f1=1, f2=key)),
            (wire.OFFER_ASK, body(f1=1, f2=key, f3=b"x" * 16, f4=1)),
            (wire.ADMIN_ASK, body(f1=7, f3=body(f1=0, f2=b"run"), f4=1)),
        ):
            with self.subTest(kind=kind), self.connect() as client:
                client.send(kind, data)
                try:
                    got, answer = client.receive(1)
                    self.assertNotEqual(wire.parse(answer).get(1, 0), 0, f"type {got} says ok")
                except (Closed, socket.timeout, TimeoutError):
                    pass

    def test_descriptors_that_nobody_wants(self):
        with open("/dev/null", "rb") as null:
            before = len(os.listdir(f"/proc/{self.agent.popen.pid}/fd"))
            for count in (1, 100):
                with self.connect() as client:
                    opening = body(f1=b"evil", f4=1)
                    client.send(wire.RANK_OPEN, opening, [null.fileno()] * count)
                    try:
                        client.receive(1)
                    except (Closed, socket.timeout, TimeoutError):
                        pass
            wait_until(
                "the agent closed them",
                lambda: len(os.listdir(f"/proc/{self.agent.popen.pid}/fd")) <= before,
            )

    def test_sizes_that_cannot_be(self):
        with self.opened() as client:
            for size in (0, 2**63, 2**64 - 1, 2**50):
                answer = client.ask(wire.SLOT_ASK, body(f1=1, f2=size), wire.SLOT_GRANTED)
                self.assertNotEqual(answer.get(1, 0), 0, f"a slot of {size} bytes")
            answer = client.ask(wire.SLOT_ASK, body(f1=2**64 - 1, f2=5), wire.SLOT_GRANTED)
            self.assertNotEqual(answer.get(1, 0), 0)

    def test_slots_of_others(self):
        """Seals, abandons and releases of every slot and generation that others may have."""
        held = [record for record in self.agent.arena.records()]
        with self.opened(world=2) as one, self.opened(rank=1, world=2) as other:
            slot, generation = self.granted(other)
            targets = [(record.slot, record.generation, record.step) for record in held]
            targets += [
                (slot, generation, 1),
                (slot, generation + 1, 1),
                (9999, 1, 1),
                (2**32 - 1, 0, 0),
            ]
            for at, number, step in targets:
                for kind in (wire.SEAL, wire.ABANDON, wire.RELEASE):
                    fields = (
                        body(f1=at, f2=number)
                        if kind == wire.RELEASE
                        else body(f1=step, f2=at, f3=number)
                    )
                    one.send(kind, fields)
            time.sleep(0.3)
            for record in held:
                now = [r for r in self.agent.arena.records() if r.slot == record.slot]
                self.assertEqual(
                    [(r.generation, r.state) for r in now], [(record.generation, record.state)]
                )
            mine = [r for r in self.agent.arena.records() if r.slot == slot]
            self.assertEqual(
                [r.state for r in mine], [1], "the other rank's slot is still being filled"
            )

    def test_gathers_into_slots_of_others(self):
        stale, wrong_size = 32, 4
        with open("/dev/null", "rb") as null, self.opened(world=2) as one:
            with self.opened(rank=1, world=2) as other:
                slot, generation = self.granted(one)
                its_slot, its_generation = self.granted(other)
                for at, number, ranges, status in (
                    (its_slot, its_generation, [0, 0, 4096], stale),
                    (slot, generation + 1, [0, 0, 4096], stale),
                    (slot, generation, [], wrong_size),
                    (slot, generation, [0, 3 * MIB, 1], wrong_size),
                    (slot, generation, [2**64 - 1, 0, 2], wrong_size),
                ):
                    ask = body(f1=1, f2=at, f3=number, f4=1, f5=ranges)
                    one.send(wire.GATHER, ask, [null.fileno()])
                    kind, answer = one.receive()
                    self.assertEqual(kind, wire.GATHERED)
                    self.assertEqual(wire.parse(answer).get(5, 0), status, (at, ranges))
                one.send(wire.GATHER, body(f1=1, f2=slot, f3=generation, f4=1, f5=[0, 0, 9]))
                kind, answer = one.receive()
                self.assertNotEqual(wire.parse(answer).get(5, 0), 0, "no descriptor came with it")
                with self.assertRaises(Closed):
                    one.send(wire.GATHER, body(f1=1, f2=slot, f3=generation, f4=2, f5=[1, 2]))
                    one.receive()

    def test_a_seal_of_bytes_that_are_no_shard(self):
        """Garbage of the right size is that user's own business; it harms nobody."""
        with self.opened() as client:
            slot, generation = self.granted(client)
            client.send(wire.SEAL, body(f1=1, f2=slot, f3=generation))
            self.unharmed()

    def test_segments_cut_under_the_agents_hands(self):
        """The client has its segments writable, so it can truncate them."""
        with self.opened() as client:
            slot, generation = self.granted(client, size=8 * MIB)
            wait_until("descriptors come", lambda: len(client.descriptors) >= 4)
            for descriptor in client.descriptors:
                try:
                    os.ftruncate(descriptor, 0)
                except OSError:
                    pass  # sealed against it: as good
            client.send(wire.SEAL, body(f1=1, f2=slot, f3=generation))
            time.sleep(0.5)
            self.assertNotEqual(self.tested.state("evil", 1)["state"], "consistent")
        self.unharmed()
        with self.opened(run="after") as client:  # and the memory can be used again
            self.granted(client, size=8 * MIB)

    def test_descriptors_of_a_restored_shard_cannot_write(self):
        """Whatever the receiver is: libckpt would map them read-only by itself."""
        with self.connect() as client:
            opening = body(f1=b"run", f2=1, f4=1, f6=1)
            answer = client.ask(wire.RANK_OPEN, opening, wire.RANK_OPENED)
            self.assertEqual(answer.get(1, 0), 0, answer)
            asking = body(f4=1, f5=wire.LATEST, f6=1, f8=2**31 + 1)
            answer = client.ask(wire.LOAD_ASK, asking, wire.LOADED)
            self.assertEqual(answer.get(1, 0), 0, answer)
            self.assertGreaterEqual(len(client.descriptors), 1)
            for descriptor in client.descriptors:
                self.assertRaises(OSError, os.write, descriptor, b"x")
                self.assertRaises(PermissionError, mmap.mmap, descriptor, 4096)
                self.assertRaises(OSError, os.ftruncate, descriptor, 0)
                mmap.mmap(descriptor, 4096, prot=mmap.PROT_READ).close()

    # ---- floods ----

    def test_a_flood_of_connections(self):
        clients = []
        try:
            for _ in range(800):
                clients.append(self.connect())
        except OSError:
            pass
        self.assertGreater(len(clients), 50)
        self.unharmed()
        for client in clients:
            client.close()
        self.unharmed()
        wait_until("a new rank is served", self.is_served)

    def is_served(self):
        try:
            with self.opened(run="served"):
                return True
        except (Closed, OSError, TimeoutError, AssertionError):
            return False

    def test_a_client_that_asks_and_never_reads(self):
        with self.opened() as client:
            client.socket.settimeout(1)
            try:
                for _ in range(20000):
                    client.send(wire.CHECKPOINT_ASK, body(f2=wire.LATEST))
            except (Closed, socket.timeout, TimeoutError, OSError):
                pass
            self.unharmed()
            beyond = self.agent.memory("VmRSS") - self.agent.memory("RssShmem")
            if os.environ.get("CKPT_TIME_SCALE", "1") == "1":
                self.assertLess(beyond, 64 * MIB)

    def test_opens_and_closes_in_a_storm(self):
        for i in range(300):
            with self.connect() as client:
                client.send(wire.RANK_OPEN, body(f1=b"storm", f2=1, f3=i % 7, f4=7))
                if i % 3 == 0:
                    client.send(wire.SLOT_ASK, body(f1=i + 1, f2=100))

    # ---- the ports ----

    def test_garbage_at_the_peers_and_the_coordinators_port(self):
        address = self.agent.events("ready")[-1]["address"]
        for target in (address, self.tested.coordinator.address, self.tested.coordinator.socket):
            for data in (
                os.urandom(2000),
                wire.frame(999),
                wire.frame(wire.JOIN, b"\xff" * 9),
                wire.frame(wire.OFFER, body(f1=1, f4=2**32 - 1)),
                wire.frame(wire.JOIN, body(f1=1, f2=b"n0", f3=b"n0", f4=b"x:1", f5=1, f6=1)),
            ):
                with Client(target) as client:
                    client.send_raw(data)
                    try:
                        client.receive(0.3)
                    except (Closed, socket.timeout, TimeoutError):
                        pass


class Users(IntegrationTest):
    """Two users with one run name see nothing of each other."""

    def setUp(self):
        self.need_root()

    def test_one_run_name_of_two_users(self):
        cluster = self.cluster(2)
        alice = self.job(cluster, "same", uid=ALICE)
        bob = self.job(cluster, "same", uid=BOB)
        alice.commit(7)
        for reply in bob.load():
            self.assert_status(reply, "CKPT_ERR_NO_CHECKPOINT")
        bob.commit(3)
        self.assertEqual(bob.restore(), 3)
        self.assertEqual(alice.restore(), 7)
        reader = cluster.rank()
        reader.must("become", BOB)
        reader.must("open", cluster.agents[0].socket, "same", 1, 0, 1, 0, 3000, "reader")
        self.assert_status(reader.call("fetch", 0, 7, 0, 3000), "CKPT_ERR_NOT_FOUND")
        self.assertEqual(reader.must("info", "latest").words[0], "3")

    def test_a_user_sees_and_retires_only_its_own_runs(self):
        cluster = self.cluster(2)
        alice = self.job(cluster, "hers", uid=ALICE)
        alice.commit(1)
        alice.commit(2)
        os.chmod(cluster.coordinator.socket, 0o666)

        def try_everything():
            statuses = []
            for verb in ("list", "show", "retire", "verify"):
                for uid in (ALICE, wire.ANY_USER):
                    try:
                        wire.admin(cluster.coordinator.socket, verb, "hers", step=1, uid=uid)
                        statuses.append((verb, 0))
                    except wire.AdminError as error:
                        statuses.append((verb, error.status))
            return statuses, wire.admin(cluster.coordinator.socket, "runs")["runs"]

        statuses, runs = as_user(BOB, try_everything)
        self.assertTrue(all(status in (9, 10) for _, status in statuses), statuses)
        self.assertEqual(runs, [])
        self.assertEqual(alice.restore(), 2)

    def granted_bytes(self, address, size):
        """In a child: what a new user finds in its segments; then it writes a mark of its own."""
        with Client(address) as client:
            opening = body(f1=b"bobs", f2=1, f3=0, f4=1, f5=1)
            answer = client.ask(wire.RANK_OPEN, opening, wire.RANK_OPENED)
            if answer.get(1, 0) != 0:
                raise OSError(f"not opened: {answer}")
            answer = client.ask(wire.SLOT_ASK, body(f1=1, f2=size), wire.SLOT_GRANTED)
            if answer.get(1, 0) != 0:
                raise OSError(f"no slot: {answer}")
            dirty = 0
            for descriptor in client.descriptors:
                with mmap.mmap(descriptor, 2 * MIB) as view:
                    dirty += view[:] != bytes(2 * MIB)
            return len(client.descriptors), dirty

    def test_memory_is_zeroed_between_users(self):
        cluster = self.cluster(1, agent={"arena-bytes": "16MiB"}, coordinator={"keep": "1"})
        agent = cluster.agents[0]
        alice = self.job(cluster, "hers", copies=1, uid=ALICE)
        alice.cluster.truth[(ALICE, "hers", 1, 1, 0)] = CANARY * (12 * MIB // len(CANARY))
        alice.commit(1)
        self.assertGreaterEqual(len(agent.arena.contains(CANARY)), 6, "the canary is in the arena")
        alice.commit(2, size=100)
        wait_until("the first is retired", lambda: agent.arena.find("hers", 1, 0) is None)
        count, dirty = as_user(BOB, lambda: self.granted_bytes(agent.socket, 13 * MIB))
        self.assertEqual(count, 7)
        self.assertEqual(dirty, 0, "segments with another user's bytes")

    def test_a_mapping_that_the_earlier_user_kept_reaches_nothing(self):
        cluster = self.cluster(1, agent={"arena-bytes": "16MiB"}, coordinator={"keep": "1"})
        agent = cluster.agents[0]
        alice = self.job(cluster, "hers", copies=1, uid=ALICE)
        alice.commit(1, size=12 * MIB)
        record = agent.arena.find("hers", 1, 0)
        alice.commit(2, size=100)
        wait_until("the first is retired", lambda: agent.arena.find("hers", 1, 0) is None)
        bob = self.job(cluster, "his", copies=1, uid=BOB)
        bob.save(1, size=12 * MIB)
        for segment in record.segments:
            alice.ranks[0].call("scribble", f"segment-{segment:04d}", 5000)
        for reply in bob.wait(1):
            self.assert_status(reply, "CKPT_OK")
        for segment in record.segments:
            alice.ranks[0].call("scribble", f"segment-{segment:04d}", 5000)
        self.assertEqual(bob.restore(), 1)
        self.assertEqual(alice.restore(), 2)

    def test_a_restored_shard_cannot_be_opened_for_writing(self):
        cluster = self.cluster(1)
        alice = self.job(cluster, "hers", copies=1, uid=ALICE)
        alice.commit(1, size=MIB)
        path = cluster.agents[0].arena.segment_path(0)

        def try_open():
            outcomes = []
            for flags in (os.O_RDONLY, os.O_RDWR):
                try:
                    os.close(os.open(path, flags))
                    outcomes.append("opened")
                except PermissionError:
                    outcomes.append("denied")
            return outcomes

        self.assertEqual(as_user(BOB, try_open), ["denied", "denied"])
        self.assertEqual(as_user(ALICE, try_open), ["denied", "denied"])
