# SPDX-License-Identifier: Apache-2.0
"""Restarts and stalls with the timings that ship, in arenas of the size that docs/operating.md
names: saves go on, copies converge to what was asked for, and nothing is copied for who comes back
in time."""

import json
import subprocess
import time

from cluster import MIB, Cluster, payload
from harness import IntegrationTest, wait_until
from process import program

SHIPPED = {
    "heartbeat": "500ms",
    "lease": "3s",
    "disconnect-grace": "1s",
    "resend": "500ms",
    "restore-settle": "10s",
    "restore-timeout": "300s",
    "save-timeout": "120s",
    "repair-after": "10s",
}
NODES = 4
RANKS_PER_NODE = 2
KEEP = 2
COPIES = 2
SIZE = 4 * MIB
SEGMENT = 2 * MIB


def documented_arena():
    """((keep + 1) x copies) shards a rank, times N / (N - 1), in whole segments."""
    shards = -(-RANKS_PER_NODE * (KEEP + 1) * COPIES * NODES // (NODES - 1))
    segments = SIZE // SEGMENT + 1  # a header, and so a piece of one more
    return f"{shards * segments * SEGMENT // MIB}MiB"


class Recovery(IntegrationTest):
    def setUp(self):
        self.c = Cluster(
            self, NODES, coordinator=SHIPPED, agent={"arena-bytes": documented_arena()}
        )
        self.c.start()
        self.file = self.c.file(payload("x", size=SIZE))
        self.world = NODES * RANKS_PER_NODE
        self.ranks = [self.rank(i, 1) for i in range(self.world)]
        self.step = 0

    def rank(self, number, attempt, agent=None):
        agent = agent or self.c.agents[number // RANKS_PER_NODE]
        rank = self.c.rank()
        rank.must("open", agent.socket, "run", attempt, number, self.world, COPIES, 5000, "rank")
        return rank

    def saves(self, count):
        """Every rank saves, and all of it becomes consistent."""
        for _ in range(count):
            self.step += 1
            for rank in self.ranks:
                rank.must("save_bytes", self.step, self.file)
            for rank in self.ranks:
                rank.must("wait", self.step, 30000)

    def copies(self):
        state = self.c.coordinator.ask("list", "run", timeout=30)
        consistent = [k["step"] for k in state["checkpoints"] if k["state"] == "consistent"]
        return {
            step: sorted(
                {
                    sum(copy["state"] == "verified" for copy in shard["copies"])
                    for shard in self.c.state("run", step)["shards"]
                }
            )
            for step in consistent
        }

    def check_converged(self, timeout=40):
        wait_until(
            "each shard has its copies and no more",
            lambda: all(counts == [COPIES] for counts in self.copies().values()),
            timeout,
        )

    def let_go(self):
        """Copies that a repair made in vain."""
        return sum(len(agent.events("copy_let_go")) for agent in self.c.agents)

    def test_a_coordinator_that_restarts_costs_nothing(self):
        self.saves(4)
        self.c.coordinator.kill()
        time.sleep(2)
        self.c.coordinator.start()
        self.c.wait_joined()
        self.saves(4)
        self.check_converged()
        self.assertEqual(self.let_go(), 0)

    def test_agents_that_restart_in_turn_cost_nothing(self):
        self.saves(4)
        for agent in self.c.agents:
            agent.terminate()
            time.sleep(1)
            agent.start()
        self.c.wait_joined()
        self.saves(4)
        self.check_converged()
        self.assertEqual(self.let_go(), 0)

    def test_an_agent_that_is_away_for_long_is_made_good_and_let_go(self):
        self.saves(4)
        self.c.agents[1].pause()
        wait_until(
            "its copies are made again",
            lambda: all(
                sum(c["state"] == "verified" and c["node"] != "n1" for c in shard["copies"])
                == COPIES
                for shard in self.c.state("run", self.step)["shards"]
            ),
            60,
        )
        self.c.agents[1].resume()
        self.c.wait_joined()
        self.check_converged()
        self.saves(4)
        self.check_converged()

    def test_a_step_that_is_marked_poisoned_is_passed_over_and_comes_back(self):
        self.saves(2)
        self.mark(2, "poisoned")
        rows = self.c.coordinator.ask("list", "run", timeout=30)["checkpoints"]
        self.assertEqual([k["mark"] for k in rows if k["step"] == 2], ["poisoned"])
        self.c.coordinator.kill()
        self.c.coordinator.start()
        self.c.wait_joined()
        self.check_converged()
        self.mark(2, "clear")
        wait_until(
            "it is offered again",
            lambda: self.c.state("run", 2)["state"] == "consistent",
        )
        self.saves(2)

    def mark(self, step, word):
        out = subprocess.run(
            [program("ckptctl"), "-C", self.c.coordinator.socket, "--json"]
            + ["mark", "run", str(step), word],
            capture_output=True,
            text=True,
            timeout=30,
        )
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertIn("now_ms", json.loads(out.stdout))
