# SPDX-License-Identifier: Apache-2.0
"""What a chaos run does to a cluster. Each fault ends by itself; how long it lasted is noted.

Everything stays within the promise: memory is lost on one node at a time, and only where each
checkpoint that counts has its copies; a flipped bit spares the other copy.
"""

import os

import wire


class Faults:
    """The faults by name; `chaos` passes time, watches the processes, and keeps the notes."""

    def __init__(self, chaos):
        self.chaos, self.random, self.cluster = chaos, chaos.random, chaos.cluster
        self.trainer, self.notes = chaos.trainer, chaos.notes
        self.table = {
            "coordinator_restart": self.coordinator_restart,
            "coordinator_stall": self.coordinator_stall,
            "coordinator_disk_full": self.coordinator_disk_full,
            "coordinator_restart_late_agents": self.coordinator_restart_late_agents,
            "agent_restart": self.agent_restart,
            "agent_stall": self.agent_stall,
            "rolling_restart": self.rolling_restart,
            "rolling_stall": self.rolling_stall,
            "two_agents_restart_and_job": self.two_agents_restart_and_job,
            "node_lost": self.node_lost,
            "flip": self.flip,
            "job_restart": self.job_restart,
            "rank_killed": self.rank_killed,
        }

    def strike(self, name):
        self.table[name]()

    def between(self, low, high):
        return self.random.uniform(low, high)

    def some_agent(self):
        return self.random.choice(self.cluster.agents)

    # ---- the coordinator ----

    def coordinator_restart(self):
        fault = self.notes.begin("the coordinator is killed and starts anew")
        self.chaos.down(self.cluster.coordinator)
        self.chaos.pass_time(self.between(0, 6))
        self.chaos.up(self.cluster.coordinator)
        self.notes.end(fault)

    def coordinator_stall(self):
        fault = self.notes.begin("the coordinator stands still")
        self.cluster.coordinator.pause()
        self.chaos.pass_time(self.between(4, 30))
        self.cluster.coordinator.resume()
        self.notes.end(fault)

    def coordinator_disk_full(self):
        directory = self.cluster.coordinator.state_directory
        if not self.chaos.has_small_disk:
            return
        fault = self.notes.begin("the coordinator's disk is full")
        filler = os.path.join(directory, "filler")
        try:
            with open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 16))
        except OSError:
            pass
        self.chaos.pass_time(self.between(3, 15))
        os.unlink(filler)
        self.notes.end(fault)

    def coordinator_restart_late_agents(self):
        fault = self.notes.begin("all are killed; the agents come back later than the coordinator")
        self.chaos.down(self.cluster.coordinator)
        agents = list(self.cluster.agents)
        self.random.shuffle(agents)
        for agent in agents:
            self.chaos.down(agent)
        self.chaos.pass_time(self.between(0, 2))
        self.chaos.up(self.cluster.coordinator)
        for agent in agents:
            self.chaos.pass_time(self.between(0, 4))
            self.chaos.up(agent)
        self.notes.end(fault)

    # ---- agents ----

    def agent_restart(self):
        agent = self.some_agent()
        fault = self.notes.begin(f"{agent.node} is killed and starts anew on its memory")
        self.chaos.down(agent)
        self.chaos.pass_time(self.between(0, 8))
        self.chaos.up(agent)
        self.notes.end(fault)

    def agent_stall(self):
        agent = self.some_agent()
        fault = self.notes.begin(f"{agent.node} stands still")
        self.chaos.touch(agent)
        agent.pause()
        self.chaos.pass_time(self.between(2, 30))
        agent.resume()
        self.chaos.touch(agent)
        self.notes.end(fault)

    def rolling_restart(self):
        fault = self.notes.begin("each agent in turn is killed and starts anew")
        for agent in self.cluster.agents:
            self.chaos.down(agent)
            self.chaos.pass_time(self.between(0, 2))
            self.chaos.up(agent)
            self.chaos.pass_time(self.between(0.5, 4))
        self.notes.end(fault)

    def rolling_stall(self):
        fault = self.notes.begin("each agent in turn stands still")
        for agent in self.cluster.agents:
            self.chaos.touch(agent)
            agent.pause()
            self.chaos.pass_time(self.between(1, 6))
            agent.resume()
            self.chaos.touch(agent)
        self.notes.end(fault)

    def two_agents_restart_and_job(self):
        """Two holders are away, memory kept, and the job starts at once on other nodes."""
        first, second = self.random.sample(self.cluster.agents, 2)
        fault = self.notes.begin(f"{first.node}, {second.node} restart and the job with them")
        self.chaos.down(first)
        self.chaos.down(second)
        self.trainer.absent = {first.node, second.node}
        self.trainer.restart()
        self.chaos.pass_time(self.between(3, 9))
        self.chaos.up(first)
        self.chaos.up(second)
        self.trainer.absent = set()
        self.notes.end(fault)

    def node_lost(self):
        """With its memory and its ranks; it is back, empty, by and by."""
        if not self.chaos.wait_whole(90):
            self.notes.violation("copies are not whole 90 s after the last fault")
            return
        agent = self.some_agent()
        fault = self.notes.begin(f"{agent.node} is lost with its memory")
        self.chaos.down(agent)
        agent.wipe()
        self.trainer.absent = {agent.node}
        self.trainer.restart()
        self.chaos.pass_time(self.between(1, 3))
        self.notes.end(fault)  # the others go on without it
        self.chaos.pass_time(self.between(8, 30))
        self.chaos.up(agent)
        self.trainer.absent = set()
        self.chaos.pass_time(self.between(1, 10))
        if self.random.random() < 0.5:
            self.job_restart()  # and back to five nodes

    def flip(self):
        """One bit in one copy of the newest consistent checkpoint; then all are digested again."""
        if not self.chaos.wait_whole(90):
            self.notes.violation("copies are not whole 90 s after the last fault")
            return
        step = self.trainer.told
        agents = list(self.cluster.agents)
        self.random.shuffle(agents)
        for agent in agents:
            records = [r for r in self.chaos.held(agent) if r.step == step and r.bytes > 0]
            if records:
                record = self.random.choice(records)
                self.notes.say(f"flip: {agent.node} step {step} rank {record.rank}")
                agent.arena.flip(record, self.random.randrange(record.bytes))
                break
        try:
            self.cluster.coordinator.ask("verify", "run", step=step)
        except (OSError, wire.AdminError, wire.Closed) as error:
            self.notes.say(f"verify: {error}")

    # ---- the job ----

    def job_restart(self):
        fault = self.notes.begin("the job starts anew, a node further")
        self.trainer.rotation += self.random.randrange(0, 3)
        self.trainer.restart()
        self.chaos.pass_time(self.between(0.5, 2))
        self.notes.end(fault)

    def rank_killed(self):
        fault = self.notes.begin("one rank is killed, and the job starts anew")
        ranks = list(self.trainer.ranks)
        if ranks:
            self.random.choice(ranks).popen.kill()
        self.chaos.pass_time(1)
        self.trainer.restart()
        self.notes.end(fault)
