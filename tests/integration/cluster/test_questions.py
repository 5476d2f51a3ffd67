# SPDX-License-Identifier: Apache-2.0
"""What an operator asks, the command that answers, and the line that says it, on a real cluster in
that state: docs/operating.md promises them."""

import os
import re
import subprocess
import time

from harness import IntegrationTest, wait_until
from process import environment, program

STAMP = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
AGE = r"\d+ (ms|s|min)"


class Questions(IntegrationTest):
    """Two jobs on four nodes: llama has a rank on each, bert two on n1 and n2."""

    def setUp(self):
        super().setUp()
        self.asked = 0
        self.site = self.cluster(4, coordinator={"repair-after": "1h"})
        self.llama = self.job(self.site, run="llama")
        self.bert = self.job(self.site, run="bert", on=self.site.agents[1:3])
        self.llama.commit(30)
        time.sleep(1)  # what every node holds is told: from now on it is known how long a save took
        self.llama.commit(40)
        self.bert.commit(7)

    def ask(self, question, words, code, *lines, there="coordinator"):
        """Types it; its exit code, and each of these must be on a line of the answer."""
        command = [program("ckptctl"), *words.split()]
        if there == "coordinator":
            command.append(f"--coordinator={self.site.coordinator.socket}")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                              env=environment())
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, f"{question}\n$ ckptctl {words}\n{said}")
        for line in lines:
            self.assertTrue(any(re.search(line, text) for text in said.splitlines()),
                            f"{question}\n$ ckptctl {words}\nnot said: {line}\n{said}")
        self.asked += 1
        return said

    def test_all(self):
        self.while_all_is_well()
        self.while_a_rank_is_late()
        self.while_a_node_is_to_be_rebooted()
        self.while_a_node_is_lost()
        self.when_it_is_gone_for_good()
        self.while_the_coordinator_is_down()
        self.assertGreaterEqual(self.asked, 30)

    def while_all_is_well(self):
        self.ask("Is all well?", "status --strict", 0, r"4 joined, 0 lost")
        self.ask("Which runs are there, and what would each go on from?", "runs", 0,
                 r"llama .* 40 +consistent", r"bert .* 7 +consistent")
        self.ask("How old is that, and how much work is lost if everything dies now?", "status", 0,
                 r"STEP +STATE +AGE +LOSES", rf"llama +40 +consistent +{AGE} +{AGE}")
        self.ask("When was step 40 committed, how long after the one before, and how long did "
                 "that take?", "list llama", 0,
                 rf"^ *40 +consistent .* {AGE} +{AGE} +{AGE} +{STAMP}")
        self.ask("Where are the copies of rank 2?", "show llama 40", 0,
                 r"^ +2 +\d+  (blake3|fingerprint) +[0-9a-f]{64}  n2\(owner\) n\d")
        self.ask("Are all copies what they should be, in memory, now?", "verify llama", 0,
                 r"step 40: 8 of 8 copies are what they should be")
        self.ask("How full is n1, and may its memory be swapped out?", "nodes", 0,
                 r"NODE +STATE .* LOCKED +TAKEN +HELD +FREE", r"n1 +joined .* yes ")
        self.ask("Which failure domains is a checkpoint in?", "placement llama", 0,
                 r"^ +0 .* n0@n0 +n\d@n\d")
        self.ask("How much memory must a node give for 8 ranks of 20 GiB on 16 nodes?",
                 "plan --ranks 8 --bytes 20GiB --nodes 16", 0, r"a node must give 1\.0 TiB",
                 there="nobody")
        self.ask("Would any run lose work if n3 died now?", "placement --without n3", 0,
                 r"llama +40 +consistent +at risk 1/2 +0 +40 ", r"bert +7 +consistent ")
        self.ask("Who asks, which version answers, and for how long has it been up?", "status", 0,
                 rf"ckptctld \d+\.\d+\.\d+, process \d+, up {AGE}, epoch \d")
        self.ask("What can I type about nodes?", "help node", 0, r"drain NODE", there="nobody")
        path = os.path.join(self.site.directory, "rank-0.safetensors")
        self.ask("Give me rank 0's file.", "export llama 40 0 " + path +
                 f" --socket={self.site.agents[3].socket}", 0,
                 r"^[0-9a-f]{64}  /.*rank-0.safetensors$")
        self.assertTrue(os.path.getsize(path) > 0)

    def while_a_rank_is_late(self):
        for rank in range(3):
            self.assert_status(self.llama.save_one(50, rank), "CKPT_OK")
        wait_until("the others are copied", lambda: self.site.state("llama", 50)[
            "shards_ready"] == 3)
        self.ask("Why is step 50 not consistent?", "show llama 50", 0,
                 r"^waits +rank 3 \(n3\): not sealed yet")
        self.ask("What does each run wait for?", "status", 0,
                 r"llama .* step 50, for .*: 3 of 4 ranks sealed; rank 3 \(n3\): not sealed yet",
                 r"bert .* -$")
        self.ask("How far is it?", "list llama", 0, r"^ *50 +open .* 3/4 ")
        self.ask("Can the job be started again all the same, and from which step?", "wait llama", 0,
                 r"step 40 is consistent: 4 ranks")
        self.ask("Wait until step 50 is there, but not for ever.", "wait llama 50 --timeout=300ms",
                 1, r"not consistent after 300 ms")
        self.assert_status(self.llama.save_one(50, 3), "CKPT_OK")
        self.ask("And now?", "wait llama 50 --timeout=20s", 0, r"step 50 is consistent")

    def while_a_node_is_to_be_rebooted(self):
        self.ask("May I reboot n3?", "node drain n3 --timeout=20s", 0,
                 r"n3 may go: nothing is kept there alone")
        self.ask("Which nodes are out of service?", "nodes", 0, r"n3 +drained ")
        self.ask("It is back: use it again.", "node undrain n3", 0, r"n3 takes copies again")

    def while_a_node_is_lost(self):
        self.site.agents[2].kill()
        wait_until("n2 is lost", lambda: "n2" not in self.site.joined())
        self.ask("Is all well?", "status", 4, r"lost nodes: 1 ", r"llama +50 +at risk 1/2 ")
        self.ask("Which nodes are lost, and since when?", "nodes --lost", 0,
                 rf"^n2 +lost .* {AGE} ")
        self.ask("Which ranks are short of copies, and where was the other one?",
                 "show llama 50 --problems", 0, r"1 of 2 copies, not on n2 \(lost\)")
        self.ask("Can llama be started again now?", "wait llama --any", 0, r"step 50 is at risk")
        self.ask("Is it as safe as it should be?", "wait llama --strict --timeout=300ms", 4,
                 r"step 50 is at risk")
        self.ask("What does the coordinator wait for before it copies again?", "status", 4,
                 r"llama .*not on n2 \(lost\)")
        said = self.ask("Which run loses most if n1 dies too?", "placement --without n1", 4,
                        r"RUN +STEP +STATE +WITHOUT +ALONE +GOES BACK TO +LOSES",
                        r"^llama .* lost 0/2 ", r"^bert .* lost 0/2 +\d +nothing +all")
        self.assertRegex(said.splitlines()[1], r" nothing +all *$")

    def when_it_is_gone_for_good(self):
        self.ask("n2 will not come back: copy now, and off the list with it.", "node forget n2", 0,
                 r"n2 is forgotten")
        self.ask("Are there two copies of everything again?",
                 "wait llama --strict --timeout=20s", 0, r"step 50 is consistent")
        self.bert.close()
        self.ask("bert is over: drop it.", "forget bert --yes", 0, r"bert")
        self.ask("Is it gone?", "list bert", 0, r"the run has no checkpoint")
        self.ask("Step 40 is of no use: what goes when I retire it?", "retire llama 40", 0, r"40")
        self.ask("The loss was NaN at step 50: never restore it.", "mark llama 50 poisoned", 0,
                 r"50")
        self.ask("What is the configuration that ckptctl goes by?", "--check-config", 0,
                 r"coordinator = ", there="nobody")

    def while_the_coordinator_is_down(self):
        self.site.coordinator.kill()
        self.ask("Is the coordinator there?", "status", 3,
                 r"no coordinator|does not answer|refused")
