# SPDX-License-Identifier: Apache-2.0
"""Names that take their time to be looked up, and addresses that others can't reach."""

import socket
import subprocess
import time

from harness import SOAK, IntegrationTest, wait_until
from process import program

SHIPPED = {"heartbeat": "500ms", "lease": "3s", "disconnect-grace": "1s", "resend": "500ms"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class SlowResolver(IntegrationTest):
    def named(self, fault):
        """Three agents that know the coordinator, and each other, by name only."""
        cluster = self.cluster(3, start=False, coordinator=SHIPPED)
        cluster.coordinator.start()
        port = cluster.coordinator.address.rsplit(":", 1)[1]
        for agent in cluster.agents:
            own = free_port()
            agent.options.update(
                {
                    "coordinator": f"localhost:{port}",
                    "listen": f"127.0.0.1:{own}",
                    "advertise": f"localhost:{own}",
                    "agent-resend": "500ms",
                    "agent-pull-timeout": "5s",
                }
            )
            agent.start(fault=fault)
        cluster.wait_joined()
        return cluster

    def expect_time_alone_is_lost(self, cluster, timeout_ms):
        job = self.job(cluster)
        job.save(1)
        for reply in job.wait(1, timeout_ms=timeout_ms):
            self.assert_status(reply, "CKPT_OK")
        self.assertEqual(cluster.coordinator.events("agent_lost"), [])
        self.assertEqual(cluster.coordinator.events("checkpoint_aborted"), [])
        job.close()
        again = self.job(cluster, attempt=2, on=cluster.agents[::-1])
        self.assertEqual(again.restore(timeout_ms=timeout_ms), 1)
        self.assertEqual(cluster.coordinator.events("agent_lost"), [])

    def test_longer_than_a_lease_for_every_name(self):
        self.expect_time_alone_is_lost(self.named("session_in_lookup=sleep:3500"), 60000)

    def test_longer_than_a_peer_may_be_silent(self):
        """The first look-up, the coordinator's, is fast, and so are those after the second."""
        fault = f"session_in_lookup=sleep:{30000 if SOAK else 7000}@2"
        self.expect_time_alone_is_lost(self.named(fault), 90000)

    def test_an_end_does_not_wait_for_it(self):
        cluster = self.cluster(1, start=False)
        agent = cluster.agents[0]
        agent.options["coordinator"] = "localhost:1"
        agent.start(fault="session_in_lookup=sleep:30000")
        started = time.monotonic()
        self.assertEqual(agent.terminate(), 0)
        self.assertLess(time.monotonic() - started, 3)


class Addresses(IntegrationTest):
    def test_every_address_is_told_as_the_one_that_is_used(self):
        for listen in ("0.0.0.0:0", "*:0", "[::]:0"):
            with self.subTest(listen=listen):
                cluster = self.cluster(2, agent={"listen": listen})
                told = {n["address"] for n in cluster.coordinator.ask("nodes")["nodes"]}
                for address in told:
                    self.assertRegex(address, r"^127\.0\.0\.1:\d+$")
                job = self.job(cluster)
                job.commit(1)
                job.close()

    def test_what_is_no_address_is_refused_before_the_start(self):
        for key, value in (
            ("coordinator", "http://x:1"),
            ("coordinator", "::1:7471"),
            ("coordinator", "0.0.0.0:7471"),
            ("coordinator", "host"),
            ("coordinator", "/run/ckptctld/ckptctld.sock"),
            ("listen", "::1:7472"),
            ("advertise", "*:7472"),
            ("advertise", "[::]:7472"),
            ("advertise", "node:0"),
        ):
            for check in ([], ["--check-config"]):
                with self.subTest(key=key, value=value, check=check):
                    done = subprocess.run(
                        [program("ckptd"), "--config=/dev/null", f"--{key}={value}", *check],
                        capture_output=True,
                        text=True,
                        timeout=20,
                    )
                    self.assertEqual(done.returncode, 2, done)
                    self.assertIn(f"ckptd: --{key}: ", done.stderr)
        done = subprocess.run(
            [program("ckptctld"), "--config=/dev/null", "--listen=::1:7471", "--check-config"],
            capture_output=True,
            text=True,
            timeout=20,
        )
        self.assertEqual(done.returncode, 2, done)

    def test_a_name_that_nobody_knows_is_said_once(self):
        cluster = self.cluster(1, start=False)
        agent = cluster.agents[0]
        agent.options["coordinator"] = "no-such-host.invalid:7471"
        agent.start()
        wait_until("it says so", lambda: agent.events("coordinator_not_connected"))
        time.sleep(3)
        lines = agent.events("coordinator_not_connected")
        self.assertEqual(len([l for l in lines if "no-such-host" in l["reason"]]), 1, lines)
