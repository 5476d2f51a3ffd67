#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""agent.py [TEST]... - one agent's start over RDMA, in one machine of vm.py: which transport and
rails it takes and says, and what it says when it cannot."""

import os
import resource
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../integration/cluster"))

from cluster import Agent  # noqa: E402
from harness import IntegrationTest  # noqa: E402
from process import program, wait_until  # noqa: E402

NOBODY = 65534


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def has_address(rail):
    """Its device has a RoCE address again: the kernel adds it a moment after the interface's."""
    folder = f"/sys/class/infiniband/rxe{rail[1:]}/ports/1/gids"
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="ascii") as file:
            if ":ffff:0a4d:" in file.read():
                return True
    return False


class Limited(Agent):
    """One that is not root and may lock little."""

    def start(self, fault=None, wait=True):
        def become():
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (8 << 20, 8 << 20))
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

        with open(self.log, "ab") as log:
            # pylint: disable=subprocess-popen-preexec-fn
            self.popen = subprocess.Popen(
                self.arguments(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=become,
            )
        return self


class Start(IntegrationTest):
    def setUp(self):
        for number in (0, 1):
            rail = f"v{number}"
            ip("link", "set", rail, "up")
            ip("addr", "replace", f"10.77.{number}.1/24", "dev", rail)
            wait_until(f"{rail} has an address", lambda rail=rail: has_address(rail))

    def agent(self, kind=Agent, **options):
        cluster = self.cluster(0, start=False)
        cluster.coordinator.address = "127.0.0.1:1"  # nobody: an agent starts without
        options = {"transport": "verbs", "transport-devices": None, **options}
        agent = kind(cluster, "n0", options)
        cluster.agents.append(agent)
        return agent

    def started(self, **options):
        agent = self.agent(**options)
        agent.start()
        return agent

    def refused(self, words, kind=Agent, **options):
        """It ends with status 2, and says the words."""
        agent = self.agent(kind, **options)
        agent.start(wait=False)
        self.assertEqual(agent.wait_dead(), 2)
        reason = agent.events("not_started")[0]["reason"]
        print(reason, flush=True)
        self.assertIn(words, reason)

    def spec(self, agent):
        return agent.events("transport_open")[0]["spec"]

    def test_auto_takes_rdma_where_there_is_some(self):
        agent = self.started(transport="auto")
        self.assertEqual(self.spec(agent), "verbs:rxe0+rxe1")
        self.assertEqual(agent.events("rails")[0]["ports"], "rxe0+rxe1")
        self.assertEqual(agent.events("transport_fallback"), [])

    def test_auto_leaves_out_what_it_cannot_use(self):
        ip("addr", "flush", "dev", "v1")
        ip("-6", "addr", "flush", "dev", "v1")
        agent = self.started(transport="auto")
        self.assertEqual(self.spec(agent), "verbs:rxe0+rxe1")
        self.assertIn("rxe1:1 has no RoCE v2", agent.events("verbs_rail_left_out")[0]["reason"])
        self.refused("rxe1:1 has no RoCE v2", **{"transport-rails": "rxe0+rxe1"})

    def test_auto_takes_tcp_where_rdma_cannot_be_used(self):
        ip("link", "set", "v0", "down")
        ip("link", "set", "v1", "down")
        agent = self.started(transport="auto")
        self.assertEqual(self.spec(agent), "ucx:tcp")
        reason = agent.events("transport_fallback")[0]["reason"]
        self.assertIn("is DOWN: bring the link of its network interface up", reason)
        self.assertIn("rxe0:1 is DOWN", agent.events("transport_slow")[0]["reason"])
        self.refused("is DOWN")

    def test_what_is_slower_than_the_devices_that_are_there_takes_no_shards(self):
        ip("link", "set", "v0", "down")
        ip("link", "set", "v1", "down")
        slow = {"transport": "auto", "transport-devices": None}
        cluster = self.cluster(2, per_agent={0: slow, 1: {**slow, "transport-allow-slow": "yes"}})
        reply = self.job(cluster, on=[cluster.agents[0]]).save_one(1, 0)
        self.assertFalse(reply.ok)
        self.assertIn("takes no new shards", reply.reason)
        status = subprocess.run(
            [program("ckptctl"), f"--coordinator={cluster.coordinator.socket}", "status"],
            capture_output=True, text=True, check=False)
        self.assertEqual(status.returncode, 4, status)
        self.assertIn("nodes that take no new shards, as their transport is slow: 1", status.stdout)
        self.assertEqual(cluster.agents[1].events("transport_slow"), [])
        self.job(cluster, on=[cluster.agents[1]], run="allowed").save(1)

    def test_rails_are_named(self):
        self.assertEqual(self.spec(self.started(**{"transport-rails": "rxe1"})), "verbs:rxe1")
        agent = self.started(**{"transport-rails": "numa0=rxe1"})
        self.assertEqual(self.spec(agent), "verbs:rxe1")
        self.refused("did you mean", **{"transport-rails": "rxe0+rxe7"})
        self.refused("rxe7", **{"transport-rails": "numa0=rxe7"})
        self.refused("numa5", **{"transport-rails": "numa5=rxe0"})

    def test_too_little_may_be_locked(self):
        subprocess.run("chmod 666 /dev/infiniband/*", shell=True, check=True)
        os.chmod("/dev/shm", 0o1777)
        options = {"arena-directory": f"/dev/shm/limited-{os.getpid()}", "arena-lock": "off"}
        agent = self.agent(Limited, **options)
        agent.arena_directory = options["arena-directory"]
        agent.socket = agent.arena_directory + ".sock"
        agent.start()
        self.assertEqual(agent.wait_dead(), 2)
        reason = agent.events("not_started")[0]["reason"]
        print(reason, flush=True)
        self.assertIn("LimitMEMLOCK=infinity", reason)
        self.assertIn("once for each of 2 rails", reason)

    def test_an_idle_agent_takes_no_processor_time(self):
        agent = self.started()

        def ticks():
            with open(f"/proc/{agent.popen.pid}/stat", encoding="ascii") as stat:
                return sum(int(word) for word in stat.read().rsplit(")", 1)[1].split()[11:13])

        time.sleep(1)
        begin, before = time.monotonic(), ticks()
        time.sleep(6)
        share = (ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begin)
        print(f"an idle agent takes {100 * share:.1f} % of a processor", flush=True)
        self.assertLess(share, 0.2, "it spins")  # spinning would be 1


class Peers(IntegrationTest):
    def test_agents_of_different_transports_say_so(self):
        per_agent = {
            0: {"transport": "verbs", "transport-devices": None},
            1: {"transport": "ucx:tcp", "transport-devices": "lo"},
        }
        cluster = self.cluster(2, per_agent=per_agent)
        job = self.job(cluster, on=[cluster.agents[0]])
        job.save(1)
        reader = cluster.agents[1]
        wait_until("the pull is refused", lambda: reader.events("peer_transport_refused"))
        line = reader.events("peer_transport_refused")[0]
        self.assertIn("the same [transport] spec on all agents", line["hint"])
        reply = job.wait(1)[0]
        self.assertFalse(reply.ok, "a checkpoint without its second copy is consistent")
        print(reply.reason, flush=True)


def main():
    if os.environ.get("CKPT_VM_GUESTS") != "1":
        print("skipped: this runs in one machine of tests/vm/vm.py")
        return 77
    names = sys.argv[1:]
    loader = unittest.defaultTestLoader
    me = sys.modules[__name__]
    suite = loader.loadTestsFromNames(names, me) if names else loader.loadTestsFromModule(me)
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
