# SPDX-License-Identifier: Apache-2.0
"""What a person reads when nodes are lost: how whole a checkpoint is, which nodes are missed, what
a run waits for, when it was committed; and what a script reads: the exit code. On real processes,
which end by SIGKILL."""

import json
import re
import signal
import subprocess
import time

from harness import IntegrationTest, wait_until
from process import environment, program

NEVER = {"repair-after": "1h"}
STAMP = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"


class Said:
    def __init__(self, code, text):
        self.code, self.text = code, text

    def __repr__(self):
        return f"{self.code}: {self.text}"


class Degree(IntegrationTest):
    def made(self, agents=4, **options):
        """A cluster of which each rank of a run has saved step 1; repair takes for ever."""
        coordinator = {**NEVER, **options.pop("coordinator", {})}
        self.site = self.cluster(agents, coordinator=coordinator, **options)
        self.run_ = self.job(self.site)
        self.run_.commit(1)
        return self.site

    def ask(self, *arguments):
        done = subprocess.run(
            [program("ckptctl"), *arguments, f"--coordinator={self.site.coordinator.socket}"],
            capture_output=True, text=True, timeout=60, check=False, env=environment())
        return Said(done.returncode, done.stdout + done.stderr)

    def document(self, *arguments):
        return json.loads(self.ask(*arguments, "--json").text)

    def expect(self, code, *arguments, has=(), hasnt=()):
        said = self.ask(*arguments)
        self.assertEqual(said.code, code, f"{arguments}: {said}")
        for words in has:
            self.assertIn(words, said.text, arguments)
        for words in hasnt:
            self.assertNotIn(words, said.text, arguments)
        return said.text

    def lose(self, *indexes):
        for index in indexes:
            self.site.agents[index].kill()
        names = {self.site.agents[index].node for index in indexes}
        wait_until("they are lost", lambda: not names & self.site.joined())


class Losses(Degree):
    def test_whole(self):
        self.made()
        for flags in ((), ("--strict",), ("--any",)):
            self.expect(0, "status", *flags)
        text = self.expect(0, "status", has=("4 joined, 0 lost",))
        self.assertRegex(text, r"\nrun +1  consistent +\d+ m?s +\d+ m?s  -\n")
        self.expect(0, "wait", "run", has=("step 1 is consistent: 4 ranks", ", 2 copies\n"))
        self.expect(0, "verify", "run", has=("step 1: 8 of 8 copies",), hasnt=("missing",))
        self.expect(0, "nodes", "--lost", has=("no node is lost",))
        self.expect(0, "show", "run", "--problems", has=(": consistent\n", "has its copies"))
        self.expect(2, "status", "--strict", "--any", has=("give one",))

    def test_three_of_four_nodes_are_killed(self):
        """Every verb says that shards are lost, and on which nodes they were; exit codes follow."""
        self.made()
        self.lose(1, 2, 3)
        text = self.expect(4, "status", has=("1 joined, 3 lost", "lost nodes: 3", "lost 0/2"))
        self.assertRegex(text, r"\nrun +1  lost 0/2 +\d+ m?s +all  rank")
        self.assertRegex(text, r"ranks? [123].*: no copy is known, was on n\d \(lost\), n\d ")
        self.expect(4, "status", "--strict")
        self.expect(0, "status", "--any")
        self.assertTrue(self.run_.save_one(2, 0).ok)
        wait_until("both are told", lambda: re.search(
            r"no copy is known, .*; step 2, for \d+ m?s: 1 of 4 ranks sealed; .*"
            r"too few failure domains are joined", self.ask("status").text))
        self.expect(4, "wait", "run", has=("step 1 is lost: ", "0 of 2 copies; rank"))
        self.expect(4, "wait", "run", "--any")
        self.expect(4, "wait", "run", "--strict", "--timeout=500ms", has=("is lost",))
        self.expect(4, "verify", "run", has=("2 of 8 copies", "missing"))
        self.expect(0, "list", "run", has=("lost 0/2", "(lost)"), hasnt=("consistent",))
        self.expect(0, "runs", has=("lost 0/2",))
        self.expect(0, "placement", "run", has=("step 1: lost 0/2",))
        text = self.expect(0, "nodes", "--lost", has=("n1", "n2", "n3"))
        self.assertNotRegex(text, r"\bn0\b.*joined")
        self.check_documents_of_the_loss()

    def check_documents_of_the_loss(self):
        status = self.document("status")
        self.assertEqual(status["newest"]["lost"], 1)
        run = status["each_run"][0]
        self.assertIsNone(run["restorable"])
        self.assertEqual((run["newest"]["state"], run["newest"]["degree"]), ("consistent", "lost"))
        entry = self.document("list", "run")["checkpoints"][-1]
        self.assertEqual(entry["copies_now"], 0)
        self.assertEqual(entry["shards_short"], 4)
        by_rank = {short["rank"]: short for short in entry["short"]}
        for short in by_rank.values():
            away = [home["node"] for home in short["homes"] if not home["has"]]
            self.assertEqual(len(away), 2 - short["copies"])
            self.assertNotIn("n0", away)
        gone = {rank for rank, agents in self.site.holders("run", 1).items()
                if self.site.agents[0] not in agents}
        self.assertEqual({s["rank"] for s in by_rank.values() if s["copies"] == 0}, gone)

    def test_one_copy_is_left(self):
        self.made(3)
        self.lose(2)
        self.expect(4, "status", has=("at risk 1/2", "1 of 2 copies, not on n2 (lost)"))
        self.expect(4, "wait", "run", has=("step 1 is at risk: ", "1 of 2 copies; rank"))
        self.expect(0, "wait", "run", "--any", has=("at risk",))
        self.expect(4, "verify", "run", has=("4 of 6 copies",))
        self.expect(0, "verify", "run", "--any")
        text = self.expect(0, "show", "run", has=("step 1: at risk 1/2", "problems    rank"))
        self.assertEqual(len(re.findall(r"\n +\d  ", text)), 3)
        text = self.expect(0, "show", "run", "--problems")
        self.assertEqual(len(re.findall(r"\n +\d  ", text)), 2)
        self.site.agents[2].start()
        self.expect(0, "wait", "run", "--strict", "--timeout=20s", has=("is consistent",))
        self.expect(0, "status", "--strict")

    def test_a_node_that_was_stopped_is_not_called_lost(self):
        self.made(3)
        self.site.agents[2].terminate()
        wait_until("it is away", lambda: "n2" not in self.site.joined())
        self.expect(4, "status", has=("1 of 2 copies, not on n2 (stopped)",))
        self.expect(0, "nodes", "--lost", has=("no node is lost",))

    def test_three_copies_are_degraded_first(self):
        self.site = self.cluster(4, coordinator=NEVER)
        job = self.job(self.site, copies=3, on=self.site.agents[:1])
        job.commit(1)
        holders = [agent for agent in self.site.holders("run", 1)[0]]
        others = [self.site.agents.index(a) for a in holders if a is not self.site.agents[0]]
        self.lose(others[0])
        self.expect(4, "status", has=("degraded 2/3",))
        self.expect(0, "wait", "run", "--any", has=("step 1 is degraded", "2 of 3 copies"))
        self.lose(others[1])
        self.expect(4, "status", has=("at risk 1/3",))

    def test_only_strict_minds_what_is_repaired(self):
        self.made(4, coordinator={"repair-after": "200ms"})
        self.lose(3)
        self.site.wait_whole("run", 1)
        self.expect(0, "status", has=("lost nodes: 1",))
        self.expect(4, "status", "--strict")
        text = self.expect(0, "list", "run", has=("consistent",))
        self.assertRegex(text.splitlines()[1], f"{STAMP} *$", "a NOTE of what is over")

    def test_after_a_restart_nobody_is_known(self):
        """Holders are on record: a new coordinator says where the copies were."""
        self.made(3, coordinator={"restore-settle": "1s"})
        for agent in self.site.agents:
            agent.kill()
        self.site.coordinator.kill()
        self.site.coordinator.start()
        text = self.expect(4, "status", has=("lost 0/2", "not joined since"))
        self.assertIn("agents are still telling what they hold", text)
        for agent in self.site.agents:
            agent.start()
        self.expect(0, "wait", "run", "--strict", "--timeout=20s", has=("is consistent",))
        wait_until("it is settled", lambda: "still telling" not in self.ask("status").text)
        self.expect(0, "status", "--strict")


class Strangers(Degree):
    def test_over_tcp_counts_are_told_and_no_names(self):
        """And the exit code follows from the counts."""
        self.made(3)
        address = f"--coordinator={self.site.coordinator.address}"

        def ask(*arguments):
            done = subprocess.run([program("ckptctl"), "status", address, *arguments],
                                  capture_output=True, text=True, timeout=60, check=False,
                                  env=environment())
            return Said(done.returncode, done.stdout + done.stderr)

        said = ask()
        self.assertEqual(said.code, 0, said)
        self.assertIn("runs are not shown: not over TCP", said.text)
        self.assertNotIn("each_run", json.loads(ask("--json").text))
        self.lose(1)
        self.assertEqual(ask().code, 4)


class Waits(Degree):
    def test_the_newest_is_meant(self):
        self.made(3)
        for step in (2, 3):
            self.run_.commit(step)
        self.expect(0, "wait", "run", has=("step 3 is consistent",))
        self.expect(0, "wait", "run", "2", has=("step 2 is consistent",))

    def test_who_has_not_sealed(self):
        self.made(3)
        for rank in (0, 2):
            self.assertTrue(self.run_.save_one(2, rank).ok)
        wait_until("two are copied", lambda: self.site.state("run", 2).get("shards_ready") == 2)
        text = self.expect(0, "status")
        self.assertRegex(
            text, r"\nrun +1  consistent .*step 2, for \d+ m?s: 2 of 3 ranks sealed; "
                  r"rank 1 \(n1\): not sealed yet\n")
        saving = self.document("status")["each_run"][0]["saving"]
        self.assertEqual((saving["step"], saving["state"]), (2, "open"))
        self.assertGreater(saving["open_ms"], 0)
        self.expect(0, "show", "run", "2", has=("waits       rank 1 (n1): not sealed yet\n",))

    def test_who_copies(self):
        """A holder that stands still is named with what it was to do."""
        self.site = self.cluster(2, coordinator={**NEVER, "lease": "60s"})
        self.run_ = self.job(self.site)
        self.run_.commit(1)
        self.site.agents[1].pause()
        self.assertTrue(self.run_.save_one(2, 0).ok)
        wait_until("it waits", lambda: "n1 copies it from n0" in self.ask("status").text)
        self.site.agents[1].resume()

    def test_no_domain_is_left(self):
        self.made(2)
        self.lose(1)
        self.assertTrue(self.run_.save_one(2, 0).ok)
        wait_until("it says so", lambda: "too few failure domains" in self.ask("status").text)
        self.site.agents[1].start()
        self.site.wait_joined()
        wait_until("it is over", lambda: "too few" not in self.ask("status").text)


class Times(Degree):
    def test_when_and_how_long(self):
        self.made(3)
        before = time.time()
        time.sleep(1.2)
        self.run_.commit(2)
        text = self.expect(0, "list", "run")
        self.assertEqual(len(re.findall(STAMP, text)), 2)
        newest = self.document("list", "run")["checkpoints"][0]
        self.assertRegex(newest["committed_at"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ$")
        self.assertLess(newest["age_ms"], (time.time() - before) * 1000)
        self.assertGreaterEqual(newest["interval_ms"], 1000)
        self.assertGreater(newest["took_ms"], 0)
        self.assertGreaterEqual(newest["took_ms"], newest["copying_ms"] or 0)
        text = self.expect(0, "show", "run")
        self.assertRegex(
            text, f"committed   {STAMP}, .* ago; \\d+ m?s after the one before it; took")
        self.assertRegex(self.expect(0, "runs"), STAMP)

    def test_they_outlive_the_coordinator(self):
        self.made(3)
        self.run_.commit(2)
        was = {c["step"]: c for c in self.document("list", "run")["checkpoints"]}
        self.site.coordinator.kill()
        self.site.coordinator.start()
        self.site.wait_joined()
        self.site.wait_whole("run", 2)
        now = {c["step"]: c for c in self.document("list", "run")["checkpoints"]}
        for step in (1, 2):
            self.assertEqual(now[step]["committed_at"], was[step]["committed_at"])
            self.assertGreater(now[step]["age_ms"], was[step]["age_ms"])
            self.assertIsNone(now[step]["took_ms"])
        self.assertEqual(now[2]["interval_ms"], was[2]["interval_ms"])
        self.run_.commit(3)
        self.assertIsNotNone(self.document("list", "run")["checkpoints"][0]["interval_ms"])


class NoCoordinator(Degree):
    """A rank that waits while nobody rules is told that, and blames no other rank."""

    def expect_nobody(self, reply):
        self.assert_status(reply, "CKPT_ERR_NO_COORDINATOR")
        self.assertRegex(reply.reason, r"no coordinator answers .*n\d.*for \d+ m?s", reply)
        self.assertNotIn("not every rank", reply.reason)

    def test_each_wait_of_a_rank(self):
        self.made(2)
        self.run_.save(2)
        self.run_.wait(2)
        self.site.coordinator.kill()
        self.run_.save(3)
        for reply in self.run_.load(timeout_ms=2000):
            self.expect_nobody(reply)
        for reply in self.run_.wait(3, timeout_ms=2000):
            self.expect_nobody(reply)

    def test_a_coordinator_that_stands_still(self):
        self.made(2)
        self.site.coordinator.signal(signal.SIGSTOP)
        for reply in self.run_.load(timeout_ms=6000):
            self.expect_nobody(reply)
        self.site.coordinator.signal(signal.SIGCONT)
