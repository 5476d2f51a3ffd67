#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""chaos.py [--seed N] [--minutes M] [--only FAULT]... [--list] - ordinary trouble and its cost.

A cluster of real processes with the settings that ship: five agents, a job of forty ranks, two
copies, arenas of the size that docs/operating.md asks for. From the seed comes a schedule of
restarts, stalls, losses, flipped bits, a full disk and job restarts, all within the promise. The
job's ranks save as often as they can. Judged:

  - no restored byte differs from what was saved, and no start gets less than it was told of;
  - no time of more than 35 s without a consistent save, what faults themselves last not counted;
  - after the last fault saves become consistent again, a restart restores, and when all is quiet
    each shard of what is consistent has exactly two copies, and nothing else takes room;
  - nothing is quarantined, and no agent is lost that nobody touched;
  - no daemon ends that nobody killed.

Environment: CKPT_BIN (where the programs are), CKPT_KEEP=1 (keeps the logs of a failed run).
Exit status: 0 held, 1 a violation, 2 a wrong argument.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../integration/cluster"))

import wire  # noqa: E402
from arena import FREE, HELD, SEALED  # noqa: E402
from cluster import AGENT_FLAGS, COORDINATOR_FLAGS, MIB, Cluster, sweep  # noqa: E402
from faults import Faults  # noqa: E402
from notes import Notes  # noqa: E402
from process import Failure  # noqa: E402
from trainer import Trainer  # noqa: E402

AGENTS = 5
KEEP, COPIES = 2, 2  # the defaults
SEGMENT = 2 * MIB  # one for a shard of this job
GAP_MAX_S = 35
TOUCHED_S = 20  # an agent may be found lost so long after it was touched
SHIPPED = {"heartbeat", "lease", "disconnect-grace", "resend", "restore-settle", "restore-timeout"}


class Chaos:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.cleanups = []
        self.notes = Notes()
        self.failed = False
        ranks = Trainer.WORLD // AGENTS
        segments = ranks * (KEEP + 1) * COPIES * AGENTS // (AGENTS - 1)
        shipped = ("transport-timeout", "agent-resend", "agent-pull-timeout")
        self.cluster = Cluster(
            self,
            AGENTS,
            coordinator={key: None for key in COORDINATOR_FLAGS},
            agent={
                **{key: None for key in shipped},
                "arena-segment-bytes": SEGMENT,
                "arena-bytes": segments * SEGMENT,
            },
        )
        assert SHIPPED <= set(COORDINATOR_FLAGS) and set(shipped) <= set(AGENT_FLAGS)
        self.has_small_disk = self.mount_small_disk()
        self.trainer = Trainer(self.cluster, self.notes)
        self.faults = Faults(self)
        self.touched = {}
        self.expected_dead = set()
        self.log_read = 0

    # ---- what the harness asks of a test ----

    def addCleanup(self, function):  # pylint: disable=invalid-name
        self.cleanups.append(function)

    def has_failed(self):
        return self.failed

    def mount_small_disk(self):
        """Of the coordinator: 16 MiB in memory, which a file can fill."""
        directory = self.cluster.coordinator.state_directory
        os.makedirs(directory, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", directory]
        if os.geteuid() != 0 or subprocess.run(command, check=False).returncode != 0:
            self.notes.say("no file system of its own for the coordinator: its disk won't be full")
            return False
        self.addCleanup(lambda: subprocess.run(["umount", "-l", directory], check=False))
        return True

    # ---- processes ----

    def touch(self, daemon):
        self.touched[daemon.name] = time.monotonic()

    def down(self, daemon):
        self.expected_dead.add(daemon.name)
        self.touch(daemon)
        daemon.kill()

    def up(self, daemon):
        daemon.start()
        self.touch(daemon)
        self.expected_dead.discard(daemon.name)

    def supervise(self):
        """As a service manager does: whoever ended by itself is started again, and it is held
        against it."""
        for daemon in self.cluster.daemons():
            if daemon.is_alive() or daemon.name in self.expected_dead:
                continue
            for line in daemon.tail(4).splitlines():
                self.notes.say(f"{daemon.name}: {line}")
            self.notes.violation(f"{daemon.name} ended by itself with {daemon.popen.returncode}")
            time.sleep(1)
            try:
                self.up(daemon)
            except Failure as failure:
                self.notes.say(f"{failure}")  # the next look tries again

    def pass_time(self, seconds):
        until = time.monotonic() + seconds
        while True:
            self.supervise()
            self.read_log()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(0.25, left))

    # ---- judges ----

    def read_log(self):
        coordinator = self.cluster.coordinator
        lines = coordinator.lines()
        for line in lines[self.log_read :]:
            if "event=checkpoint_quarantined" in line:
                self.notes.violation(f"quarantine: {line.strip()}")
            if "event=agent_lost" in line:
                self.judge_lost(line)
        self.log_read = len(lines)

    def judge_lost(self, line):
        """A log line is read a moment after it was written; who was stopped is found out later."""
        for agent in self.cluster.agents:
            since = time.monotonic() - self.touched.get(agent.name, 0)
            is_named = f"node={agent.node} " in line + " " or f'"{agent.node}"' in line
            if is_named and since > TOUCHED_S and agent.name not in self.expected_dead:
                self.notes.violation(f"{agent.node} is lost, and nobody touched it: {line.strip()}")

    def held(self, agent):
        """The slots of an arena that hold whole copies with a digest, by its own files."""
        if not os.path.exists(os.path.join(agent.arena_directory, "index")):
            return []
        return [
            record
            for record in agent.arena.records()
            if record.state in (SEALED, HELD) and record.has_digest
        ]

    def consistent_steps(self):
        try:
            table = self.cluster.coordinator.ask("list", "run", timeout=5)
        except (OSError, wire.AdminError, wire.Closed):
            return None
        return {c["step"] for c in table["checkpoints"] if c["state"] == "consistent"}

    def copies(self):
        """{(step, rank): [node...]}"""
        found = {}
        for agent in self.cluster.agents:
            for record in self.held(agent):
                found.setdefault((record.step, record.rank), []).append(agent.node)
        return found

    def is_whole(self):
        steps = self.consistent_steps()
        if not steps:
            return False
        copies = self.copies()
        return all(
            len(set(copies.get((step, rank), []))) >= COPIES
            for step in steps
            for rank in range(Trainer.WORLD)
        )

    def wait_whole(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.is_whole():
                return True
            self.pass_time(0.5)
        return False

    def surplus(self):
        """What is wrong with the copies when all is quiet; empty when nothing is."""
        steps = self.consistent_steps()
        if not steps:
            return ["the coordinator knows of no consistent checkpoint"]
        wrong = []
        copies = self.copies()
        for step in sorted(steps):
            for rank in range(Trainer.WORLD):
                nodes = copies.get((step, rank), [])
                if len(nodes) != COPIES or len(set(nodes)) != COPIES:
                    wrong.append(f"step {step} rank {rank} is on {nodes}")
        for agent in self.cluster.agents:
            for record in agent.arena.records():
                if record.state != FREE and record.step not in steps:
                    wrong.append(f"{agent.node}: {record}")
        return wrong

    # ---- the run ----

    def wait_saves(self, count, seconds, what):
        before = len(self.trainer.saved_at)
        until = time.monotonic() + seconds
        while len(self.trainer.saved_at) < before + count:
            if time.monotonic() > until:
                self.notes.violation(
                    f"{what}: {len(self.trainer.saved_at) - before} of {count} saves within "
                    f"{seconds} s; the last failure: {self.trainer.last_failure}"
                )
                return False
            self.pass_time(0.25)
        return True

    def strike_until(self, until, names):
        while time.monotonic() < until:
            self.faults.strike(self.random.choice(names))
            self.pass_time(self.random.uniform(1, 12))

    def settle(self):
        """After the last fault: it saves, it restores, it has the copies that it should."""
        if not self.wait_saves(3, 60, "after the last fault"):
            return
        self.trainer.rotation += 1
        self.trainer.restart()
        self.pass_time(1)
        if not self.wait_saves(2, 90, "after the last restart"):
            return
        end = time.monotonic()
        gap, began = self.notes.longest_gap(self.trainer.saved_at, end)
        self.notes.say(f"longest time without a consistent save: {gap:.1f} s, from {began:.1f} s")
        if gap > GAP_MAX_S:
            self.notes.violation(f"{gap:.1f} s without a consistent save, from {began:.1f} s on")
        self.trainer.wanted = "end"
        self.trainer.join(120)
        until = time.monotonic() + 60
        wrong = self.surplus()
        while wrong and time.monotonic() < until:
            self.pass_time(0.5)
            wrong = self.surplus()
        if wrong:
            self.notes.violation(f"60 s after the end {len(wrong)} are wrong: {wrong[:3]}")

    def run(self, minutes, names):
        try:
            self.cluster.start()
            self.trainer.start()
            if self.wait_saves(3, 60, "at the start"):
                self.strike_until(time.monotonic() + 60 * minutes, names)
                self.settle()
        except Failure as failure:
            self.notes.violation(str(failure))
        finally:
            self.failed = bool(self.notes.violations)
            self.trainer.wanted = "end"
            self.trainer.kill_ranks()
            self.trainer.join(60)
            for function in reversed(self.cleanups):
                function()
        return self.notes.violations


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--only", action="append", metavar="FAULT")
    parser.add_argument("--list", action="store_true", help="names of the faults")
    arguments = parser.parse_args()
    sweep()
    chaos = Chaos(arguments.seed)
    names = arguments.only or list(chaos.faults.table)
    unknown = [name for name in names if name not in chaos.faults.table]
    if arguments.list or unknown:
        print("\n".join(f"unknown: {name}" for name in unknown) or "\n".join(names))
        for function in reversed(chaos.cleanups):
            function()
        return 2 if unknown else 0
    violations = chaos.run(arguments.minutes, names)
    print(
        json.dumps(
            {
                "seed": arguments.seed,
                "saves": len(chaos.trainer.saved_at),
                "starts": chaos.trainer.attempt,
                "faults": len(chaos.notes.faults),
                "violations": violations,
            }
        )
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
