# SPDX-License-Identifier: Apache-2.0
"""ckptctl verify --blake3: what every holder's memory is called now, as b3sum calls an export."""

import functools
import json
import subprocess
import threading

from cluster import MIB, b3sum
from harness import IntegrationTest, wait_until
from process import environment, program


class Names(IntegrationTest):
    def begin(self, agents=3, size=2 * MIB, **settings):
        self.site = self.cluster(agents, **settings)
        self.job_ = self.job(self.site, on=self.site.agents[:2])
        self.job_.commit(5, size=size)
        self.site.wait_whole("run", 5)

    def verify(self, *arguments):
        """(exit code, the document)."""
        said = subprocess.run(
            [program("ckptctl"), "verify", "run", "5", "--blake3", "--json", *arguments,
             f"--coordinator={self.site.coordinator.socket}"],
            capture_output=True, text=True, timeout=120, check=False, env=environment())
        self.assertTrue(said.stdout, said.stderr)
        return said.returncode, json.loads(said.stdout)

    @functools.lru_cache(maxsize=None)
    def exported(self, rank):
        path = f"{self.site.directory}/export-{rank}"
        said = subprocess.run(
            [program("ckptctl"), "export", "run", "5", str(rank), path,
             f"--coordinator={self.site.coordinator.socket}",
             f"--socket={self.site.agents[0].socket}"],
            capture_output=True, text=True, timeout=60, check=False, env=environment())
        self.assertEqual(said.returncode, 0, said.stderr)
        digest = said.stdout.split()[0]
        if b3sum(path) is not None:
            self.assertEqual(b3sum(path), digest)
        return digest

    def assert_names(self, document):
        """Every copy is good, and has the name of its rank's export."""
        self.assertEqual(len(document["copies"]), 4)
        for copy in document["copies"]:
            self.assertEqual(copy["result"], "ok", document)
            self.assertEqual(copy["blake3"], self.exported(copy["rank"]))
        self.assertTrue(document["equal"])

    def kind(self):
        return self.site.state("run", 5)["shards"][0]["digest_kind"]

    def test_each_copy_has_the_name_of_its_export(self):
        self.begin()
        self.assertEqual(self.kind(), "fingerprint")
        before = self.site.state("run", 5)["shards"]
        code, document = self.verify()
        self.assertEqual(code, 0)
        self.assert_names(document)
        after = self.site.state("run", 5)["shards"]
        for was, now in zip(before, after):
            self.assertEqual(was["digest"], now["digest"])
            self.assertNotIn(was["digest"], [copy["blake3"] for copy in document["copies"]])
            self.assertEqual(now["copies_now"], 2)

    def test_a_run_that_blake3_proves(self):
        self.begin(coordinator={"digest": "blake3"})
        self.assertEqual(self.kind(), "blake3")
        code, document = self.verify()
        self.assertEqual(code, 0)
        self.assert_names(document)

    def test_a_table(self):
        self.begin()
        said = subprocess.run(
            [program("ckptctl"), "verify", "run", "--blake3",
             f"--coordinator={self.site.coordinator.socket}"],
            capture_output=True, text=True, timeout=60, check=False, env=environment())
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("BLAKE3", said.stdout)
        self.assertEqual(said.stdout.count(self.exported(0)), 2)
        self.assertEqual(said.stdout.count(self.exported(1)), 2)

    def test_a_copy_that_rotted_is_found_and_the_good_ones_are_told_apart(self):
        self.begin()
        bad = next(agent for agent in self.site.agents
                   if (lambda r: r and not r.owner)(agent.arena.find("run", 5, 0)))
        bad.arena.flip(bad.arena.find("run", 5, 0), 4096 + MIB)
        code, document = self.verify()
        self.assertEqual(code, 1)
        self.assertFalse(document["equal"])
        for copy in document["copies"]:
            is_bad = copy["rank"] == 0 and copy["node"] == bad.node
            self.assertEqual(copy["result"], "differs" if is_bad else "ok", document)
            self.assertEqual(copy["blake3"] == self.exported(copy["rank"]), not is_bad)
        self.assertTrue(self.site.coordinator.events("names_differ"))
        self.site.wait_whole("run", 5)
        wait_until("all are good again", lambda: self.verify()[0] == 0)

    def test_a_holder_that_is_lost_meanwhile(self):
        self.begin(agents=2)
        lost = self.site.agents[1]
        lost.pause()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.verify()))
        asking.start()
        wait_until("it is asked", lambda: self.site.coordinator.events("admin"))
        lost.kill()
        asking.join(60)
        code, document = answers[0]
        self.assertEqual(code, 1)
        for copy in document["copies"]:
            self.assertEqual(copy["result"], "gone" if copy["node"] == lost.node else "ok")

    def test_a_coordinator_that_is_started_anew_is_asked_anew(self):
        self.begin(agents=2)
        self.assertEqual(self.verify()[0], 0)
        self.site.coordinator.kill()
        self.site.coordinator.start()
        self.site.wait_joined()
        self.site.wait_whole("run", 5)
        code, document = self.verify()
        self.assertEqual(code, 0)
        self.assert_names(document)
