# SPDX-License-Identifier: Apache-2.0
"""The job: forty ranks that restore, save every second, and start anew when one of them dies.

Runs in a thread of its own. Others only kill its processes, set `wanted` and read what it noted.
"""

import os
import struct
import threading
import time

from process import Failure

PAGE = 4096
NOISE = os.urandom(1 << 18)


def payload(step, rank):
    """A shard that no other step or rank has, in any of its pages."""
    data = bytearray(NOISE[: (1 << 17) + 1001 * rank])
    stamp = struct.pack("<QQ", step, rank)
    for offset in range(0, len(data) - len(stamp), PAGE):
        data[offset : offset + len(stamp)] = stamp
    return bytes(data)


def bytes_of(shard):
    """The one tensor's bytes of a safetensors file."""
    return shard[8 + int.from_bytes(shard[:8], "little") :]


class Trainer(threading.Thread):
    WORLD = 40
    INTERVAL_S = 1.0
    WAIT_MS = 15000
    LOAD_MS = 120000

    def __init__(self, cluster, notes):
        super().__init__(daemon=True)
        self.cluster, self.notes = cluster, notes
        self.rotation = 0
        self.absent = set()  # names of agents whose nodes are gone
        self.attempt = 0
        self.step = 0
        self.told = 0  # the newest step that every rank was told is consistent
        self.saved_at = []  # when each step became so
        self.last_failure = ""
        self.ranks = []
        self.on = []
        self.wanted = "train"  # train, pause, restart or end
        self.phase = "off"

    # ---- what the others say ----

    def kill_ranks(self, agent=None):
        """Of one node, or all of them: as a machine's death or a scheduler does it."""
        for process, on in zip(list(self.ranks), list(self.on)):
            if agent is None or on is agent:
                try:
                    process.popen.kill()
                except ProcessLookupError:
                    pass

    def restart(self):
        self.wanted = "restart"
        self.kill_ranks()

    # ---- the thread ----

    def run(self):
        try:
            while self.wanted != "end":
                if self.wanted == "restart":
                    self.wanted = "train"
                self.one_start()
                self.close()
        except Exception as error:  # pylint: disable=broad-except
            self.notes.violation(f"the trainer ended: {type(error).__name__}: {error}")

    def place(self):
        """Eight ranks a node; those of a node that is gone are spread over the others."""
        agents = self.cluster.agents
        there = [agent for agent in agents if agent.node not in self.absent]
        share = self.WORLD // len(agents)
        on = []
        for rank in range(self.WORLD):
            agent = agents[(rank // share + self.rotation) % len(agents)]
            on.append(agent if agent in there else there[rank % len(there)])
        return on

    def one_start(self):
        self.attempt += 1
        self.on = self.place()
        self.ranks = [self.cluster.rank() for _ in self.on]
        self.cluster.ranks = list(self.ranks)
        self.phase = "opening"
        if self.open() and self.load():
            self.phase = "training"
            while self.wanted in ("train", "pause") and self.is_whole():
                if self.wanted == "pause":
                    time.sleep(0.2)
                else:
                    self.save()
        time.sleep(0.5)

    def is_whole(self):
        return all(process.is_alive() for process in self.ranks)

    def all_do(self, words_of, timeout):
        """Every rank does its own; the replies, None from the dead."""
        for rank, process in enumerate(self.ranks):
            try:
                process.send(*words_of(rank))
            except (BrokenPipeError, OSError):
                pass
        replies = []
        for process in self.ranks:
            try:
                replies.append(process.reply(timeout))
            except Failure as failure:
                self.notes.violation(f"a rank hangs: {failure}")
                process.popen.kill()
                replies.append(None)
        return replies

    def open(self):
        def words(rank):
            return (
                "open",
                self.on[rank].socket,
                "run",
                self.attempt,
                rank,
                self.WORLD,
                2,
                5000,
                "rank",
            )

        waiting = True
        while waiting and self.wanted == "train" and self.is_whole():
            replies = self.all_do(words, 60)
            bad = [reply for reply in replies if reply is None or not reply.ok]
            waiting = bool(bad)
            if waiting:
                self.last_failure = f"open: {bad[0]}"
                if None in bad:
                    return False
                self.all_do(lambda rank: ("close",), 60)
                time.sleep(0.5)
        return not waiting

    def load(self):
        self.phase = "loading"
        told = self.told
        replies = self.all_do(lambda rank: ("load", 0, "latest", self.LOAD_MS), 200)
        if any(reply is None for reply in replies):
            return False
        answers = {(reply.status, reply.words[0] if reply.ok else "") for reply in replies}
        self.notes.say(f"start {self.attempt} on rotation {self.rotation}: {sorted(answers)}")
        statuses = {status for status, _ in answers}
        if statuses == {"CKPT_ERR_NO_CHECKPOINT"}:
            if told > 0:
                self.notes.violation(f"a start begins at zero, and step {told} was consistent")
            return True
        if len(answers) != 1 or statuses != {"CKPT_OK"}:
            bad = next(reply for reply in replies if not reply.ok)
            self.last_failure = f"load: {bad}"
            return False
        step = int(replies[0].words[0])
        if step < told:
            self.notes.violation(f"a start restores step {step}, and step {told} was consistent")
        self.check(step)
        return True

    def check(self, step):
        paths = [self.cluster.file() for _ in self.ranks]
        replies = self.all_do(lambda rank: ("dump", 0, paths[rank]), 60)
        for rank, reply in enumerate(replies):
            if reply is None or not reply.ok:
                continue
            with open(paths[rank], "rb") as file:
                data = bytes_of(file.read())
            os.unlink(paths[rank])
            if data != payload(step, rank):
                self.notes.violation(f"WRONG BYTES: step {step} rank {rank}")
        self.all_do(lambda rank: ("unload", 0), 60)

    def save(self):
        began = time.monotonic()
        self.step += 1
        step = self.step
        paths = [self.cluster.file(payload(step, rank)) for rank in range(self.WORLD)]
        replies = self.all_do(lambda rank: ("save_bytes", step, paths[rank]), 120)
        for path in paths:
            os.unlink(path)
        bad = [reply for reply in replies if reply is None or not reply.ok]
        if not bad:
            replies = self.all_do(lambda rank: ("wait", step, self.WAIT_MS), 120)
            bad = [reply for reply in replies if reply is None or not reply.ok]
        if bad:
            self.last_failure = f"step {step}: {len(bad)} ranks: {bad[0]}"
        else:
            self.told = step
            self.saved_at.append(time.monotonic())
        time.sleep(max(0.1, self.INTERVAL_S - (time.monotonic() - began)))

    def close(self):
        for process in self.ranks:
            process.kill()
        self.phase = "off"
