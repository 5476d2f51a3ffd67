# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every named point of src/base/fault_points.def that a daemon passes.

The victim runs with the point armed from its start, traffic drives it there; a run in which it
does not die
there has failed. Then it comes back, with its memory or without, and all that anybody was told
holds.
"""

import os
import re

from harness import SOAK, IntegrationTest
from traffic import Traffic

DEFINITIONS = os.path.join(os.path.dirname(__file__), "../../../src/base/fault_points.def")

# The pass at which it dies: late enough that there is something to lose.
AGENT_POINTS = {
    "agent_before_grant": 4,
    "agent_after_grant": 4,
    "agent_before_seal_record": 4,
    "agent_after_seal_record": 4,
    "agent_before_offer": 4,
    "agent_pull_before_read": 4,
    "agent_pull_chunk": 7,
    "agent_before_pulled_record": 7,
    "agent_after_pulled_record": 7,
    "agent_before_digest_report": 4,
    "agent_before_retire": 2,
    "agent_restore_before_read": 1,
    "agent_restore_before_answer": 2,
}
AGENT_START_POINTS = {"agent_adopt_slot": 2, "agent_before_inventory": 1, "agent_before_zero": 1}
COORDINATOR_POINTS = {
    "coordinator_before_transaction": 4,
    "coordinator_in_transaction": 4,
    "coordinator_after_transaction": 4,
    "coordinator_between_messages": 60,
}
COORDINATOR_START_POINTS = {"coordinator_after_replay": 1}


def registered(program):
    with open(DEFINITIONS, encoding="ascii") as file:
        return {
            name
            for name, of in re.findall(r'^FAULT_POINT_ENTRY\((\w+), "(\w+)"', file.read(), re.M)
            if of == program
        }


class Base(IntegrationTest):
    def assert_died_there(self, victim):
        status = victim.wait_dead()
        self.assertEqual(status, -9, f"{victim.name} ended with {status}, not at the point")

    def agent_dies_in_traffic(self, point, at, wiped):
        cluster = self.cluster(3, start=False)
        cluster.coordinator.start()
        victim = cluster.agents[1]
        for agent in cluster.agents:
            agent.start(fault=f"{point}=crash@{at}" if agent is victim else None)
        cluster.wait_joined()
        traffic = Traffic(self, cluster, victim)
        traffic.run_until_death()
        self.assert_died_there(victim)
        self.assertGreater(traffic.told, 0, "nothing was consistent before: the pass is too early")
        if wiped:
            victim.wipe()
        victim.start()
        cluster.wait_joined()
        traffic.check()

    def agent_dies_at_start(self, point, at):
        cluster = self.cluster(3)
        victim = cluster.agents[1]
        traffic = Traffic(self, cluster, victim)
        traffic.round()
        self.assertGreater(traffic.told, 0)
        victim.kill()
        victim.start(fault=f"{point}=crash@{at}", wait=False)
        if point == "agent_before_zero":  # the first save into memory of unknown use
            victim.wait_ready()
            cluster.wait_joined()
            traffic.run_until_death()
        self.assert_died_there(victim)
        victim.start()
        cluster.wait_joined()
        traffic.check()

    def coordinator_dies(self, point, at, at_start=False):
        cluster = self.cluster(3, start=False)
        coordinator = cluster.coordinator
        coordinator.start(fault=None if at_start else f"{point}=crash@{at}")
        for agent in cluster.agents:
            agent.start()
        cluster.wait_joined()
        traffic = Traffic(self, cluster, coordinator)
        if at_start:
            traffic.round()
            self.assertGreater(traffic.told, 0)
            coordinator.kill()
            coordinator.start(fault=f"{point}=crash@{at}", wait=False)
        else:
            traffic.run_until_death()
            self.assertGreater(
                traffic.told, 0, "nothing was consistent before: the pass is too early"
            )
        self.assert_died_there(coordinator)
        coordinator.start()
        cluster.wait_joined()
        traffic.check()


class Registry(IntegrationTest):
    def test_every_registered_point_has_a_case(self):
        self.assertEqual(registered("ckptd"), set(AGENT_POINTS) | set(AGENT_START_POINTS))
        self.assertEqual(
            registered("ckptctld"), set(COORDINATOR_POINTS) | set(COORDINATOR_START_POINTS)
        )
        self.assertGreaterEqual(len(registered("ckptd")) + len(registered("ckptctld")), 20)

    def test_a_misspelt_point_is_refused_at_start(self):
        cluster = self.cluster(1, start=False)
        cluster.coordinator.start(fault="coordinator_after_replai=crash", wait=False)
        self.assertEqual(cluster.coordinator.wait_dead(), 2)
        self.assertIn("coordinator_after_replay", cluster.coordinator.tail())


class AgentKept(Base):
    """The agent comes back with its memory."""


class AgentWiped(Base):
    """The agent comes back empty."""


class AgentStart(Base):
    """The agent dies while it adopts what it finds."""


class CoordinatorDies(Base):
    """The coordinator comes back with its records."""

    def test_a_transaction_that_fails_ends_it_and_loses_nothing(self):
        cluster = self.cluster(3, start=False)
        cluster.coordinator.start(fault="coordinator_in_transaction=error@4")
        for agent in cluster.agents:
            agent.start()
        cluster.wait_joined()
        traffic = Traffic(self, cluster, cluster.coordinator)
        traffic.run_until_death()
        self.assertEqual(
            cluster.coordinator.wait_dead(), 1, "the status that says: start it again"
        )
        self.assertTrue(cluster.coordinator.events("store_failed"))
        cluster.coordinator.start()
        cluster.wait_joined()
        traffic.check()


# How much later it dies, too, in a long run.
LATER = (0, 1, 2, 3, 5, 8, 13) if SOAK else (0,)


def _add(case, prefix, points, method, *more, later=(0,)):
    for point, at in points.items():
        for delay in later:
            name = f"test_{point[len(prefix):]}" + (f"_{delay}_later" if delay else "")
            setattr(
                case,
                name,
                lambda self, point=point, at=at + delay: getattr(self, method)(point, at, *more),
            )


_add(AgentKept, "agent_", AGENT_POINTS, "agent_dies_in_traffic", False, later=LATER)
_add(AgentWiped, "agent_", AGENT_POINTS, "agent_dies_in_traffic", True, later=LATER)
_add(AgentStart, "agent_", AGENT_START_POINTS, "agent_dies_at_start")
_add(CoordinatorDies, "coordinator_", COORDINATOR_POINTS, "coordinator_dies", later=LATER)
_add(CoordinatorDies, "coordinator_", COORDINATOR_START_POINTS, "coordinator_dies", True)
