# SPDX-License-Identifier: Apache-2.0
"""What is consistent reaches the tier, as real processes take it there: whole or not at all, past a
full disk, a killed agent and a killed coordinator, and saves never wait for it."""

import glob
import json
import os
import shutil
import subprocess
import tempfile

from cluster import safetensors
from harness import IntegrationTest, wait_until
from process import environment, program

MIB = 1 << 20


class Tier(IntegrationTest):
    def made(self, agents=3, coordinator=None, **agent):
        self.place = os.path.join(self.new_folder(), "tier")
        os.mkdir(self.place)
        self.site = self.cluster(agents, coordinator=coordinator,
                                 agent={"tier-path": self.place, **agent})
        self.run_ = self.job(self.site)
        return self.site

    def new_folder(self):
        folder = tempfile.mkdtemp(prefix="ckptd-test-tier-")
        self.addCleanup(shutil.rmtree, folder, True)
        return folder

    def is_persisted(self, step):
        return self.site.state("run", step).get("persisted") is True

    def wait_persisted(self, step, timeout=30):
        wait_until(f"step {step} is persisted", lambda: self.is_persisted(step), timeout)

    def folder(self, step):
        found = glob.glob(f"{self.place}/*/step-{step:020d}-attempt-*")
        self.assertEqual(len(found), 1, found)
        return found[0]

    def check_files(self, step):
        """Without anything of ours: names, manifest, sums, and the bytes that were saved."""
        folder = self.folder(step)
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        self.assertEqual(manifest["world"], self.run_.world)
        if shutil.which("b3sum"):
            subprocess.run(["b3sum", "--check", "--quiet", "B3SUMS"], cwd=folder, check=True)
        for rank in range(self.run_.world):
            with open(os.path.join(folder, f"rank-{rank:05d}.safetensors"), "rb") as file:
                self.assertEqual(safetensors(file.read())["bytes"][2], self.run_.truth(step, rank))


class Way(Tier):
    def test_a_save_is_persisted_and_outlives_all_processes(self):
        self.made()
        self.run_.commit(1, size=3 * MIB)
        self.wait_persisted(1)
        for daemon in self.site.daemons():
            daemon.kill()
        self.check_files(1)

    def test_a_new_cluster_takes_it_back(self):
        """All processes, all memory and all records are gone: the folder of the tier is enough."""
        self.made()
        self.run_.commit(1, size=3 * MIB)
        self.wait_persisted(1)
        truth = dict(self.site.truth)
        for daemon in self.site.daemons():
            daemon.kill()
        site = self.cluster(3)
        folder = self.folder(1)
        arguments = [program("ckptctl"), "import", "run", "1", "--wait", folder,
                     f"--socket={site.agents[0].socket}",
                     f"--coordinator={site.coordinator.socket}"]
        os.rename(f"{folder}/manifest.json", f"{folder}/away")
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False,
                              env=environment())
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("has no manifest.json", done.stderr)
        os.rename(f"{folder}/away", f"{folder}/manifest.json")
        subprocess.run(arguments, capture_output=True, timeout=60, check=True, env=environment())
        site.truth.update(truth)
        self.job(site, attempt=2).restore(expect=1)

    def test_persisted_is_on_record(self):
        self.made()
        self.run_.commit(1)
        self.wait_persisted(1)
        self.site.coordinator.kill()
        self.site.coordinator.start()
        self.site.wait_joined()
        self.assertTrue(self.is_persisted(1))
        before = os.stat(os.path.join(self.folder(1), "manifest.json")).st_mtime_ns
        self.run_.commit(2)
        self.wait_persisted(2)
        self.check_files(2)
        self.assertEqual(os.stat(os.path.join(self.folder(1), "manifest.json")).st_mtime_ns, before)

    def test_each_n_th_step(self):
        self.made(coordinator={"tier-every": "10"})
        for step in (1, 2, 10):
            self.run_.commit(step)
            if step != 2:
                self.wait_persisted(step)
        self.assertEqual(glob.glob(f"{self.place}/*/step-{2:020d}-*"), [])
        self.check_files(10)


    def test_a_rank_waits_until_it_is_there(self):
        """Past a coordinator that is killed on the way; the step that is passed over is told."""
        self.made(coordinator={"tier-every": "10"}, **{"tier-bytes-per-second": "4MiB"})
        self.run_.save(1, size=3 * MIB)
        for process in self.run_.ranks:
            process.send("wait_persisted", 1, 60000)
        wait_until("it is on its way", lambda: glob.glob(f"{self.place}/*/*"))
        self.site.coordinator.kill()
        self.site.coordinator.start()
        for process in self.run_.ranks:
            reply = process.reply(70)
            self.assertTrue(reply is not None and reply.ok, reply)
        self.assertTrue(self.is_persisted(1))
        self.check_files(1)
        rank = self.run_.ranks[0]
        self.run_.commit(2)
        self.refused(rank, 2, "CKPT_ERR_STEP", "step 1 is there")
        self.run_.commit(10, size=3 * MIB)
        self.refused(rank, 10, "CKPT_ERR_TIMEOUT", "not in the tier yet", timeout_ms=1)
        rank.must("wait_persisted", 10, 60000)
        rank.must("wait_persisted", 1, 0)

    def test_without_a_tier_the_wait_ends_at_once(self):
        run = self.job(self.cluster(2))
        run.commit(1)
        self.refused(run.ranks[0], 1, "CKPT_ERR_UNSUPPORTED", "no agent that has one")

    def refused(self, rank, step, status, words, timeout_ms=60000):
        rank.send("wait_persisted", step, timeout_ms)
        reply = rank.reply(timeout_ms / 1000 + 10)
        self.assertFalse(reply.ok, reply)
        self.assertEqual(reply.status, status)
        self.assertIn(words, reply.reason)


class Faults(Tier):
    def test_an_agent_killed_in_mid_shard_is_stood_in_for(self):
        self.made(agents=3)
        victim = self.site.agents[0]
        victim.kill()
        victim.start(fault="tier_mid_shard=crash")
        self.site.wait_joined()
        self.run_.restart(0)
        self.run_.commit(1, size=3 * MIB)
        wait_until("it is dead", lambda: not victim.is_alive())
        self.wait_persisted(1)
        self.check_files(1)

    def test_the_coordinator_killed_on_the_way(self):
        self.made(**{"tier-bytes-per-second": "2MiB"})
        self.run_.commit(1, size=3 * MIB)
        wait_until("it is on its way", lambda: glob.glob(f"{self.place}/*/*"))
        self.site.coordinator.kill()
        self.site.coordinator.start()
        self.site.wait_joined()
        self.wait_persisted(1)
        self.check_files(1)

    def test_a_place_that_takes_nothing_stops_all_but_saves(self):
        self.made()
        self.run_.commit(1)
        self.wait_persisted(1)
        shutil.rmtree(self.place)
        self.run_.commit(2)
        wait_until("it is said", lambda: [
            trouble for trouble in self.site.coordinator.ask("status")["troubles"]
            if trouble["kind"] == "tier"])
        self.run_.commit(3)
        self.run_.commit(4)
        self.assertFalse(self.is_persisted(4))
        os.mkdir(self.place)
        self.wait_persisted(4, timeout=60)
        self.check_files(4)

    def test_a_shard_lost_before_the_manifest_goes_again(self):
        self.made(agents=2, **{"tier-bytes-per-second": "4MiB"})
        self.run_.commit(1, size=3 * MIB)
        names = wait_until("one is there", lambda: glob.glob(f"{self.place}/*/*/rank-*.json"))
        for name in names:
            os.unlink(name)
        self.wait_persisted(1, timeout=60)
        self.check_files(1)
