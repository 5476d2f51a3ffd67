# SPDX-License-Identifier: Apache-2.0
"""ckptctl export --all: a checkpoint as a folder, whole or not there; and what a terminal shows."""

import json
import os
import pty
import resource
import shutil
import signal
import subprocess

from cluster import b3sum
from harness import IntegrationTest, wait_until
from process import environment, program

ERASE = "\r\x1b[K"


class Export(IntegrationTest):
    def setUp(self):
        self.site = self.cluster(2)
        self.job_ = self.job(self.site, run="run")
        self.job_.commit(5, size=300_000)

    def path(self, name):
        return os.path.join(self.site.directory, name)

    def command(self, *arguments):
        return [program("ckptctl"), *arguments, f"--coordinator={self.site.coordinator.socket}",
                f"--socket={self.site.agents[0].socket}"]

    def ask(self, *arguments, **more):
        """(exit code, what was said)."""
        said = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60,
                              check=False, env=environment(), **more)
        return said.returncode, said.stdout + said.stderr

    def assert_nothing_is_left(self, name):
        self.assertEqual([entry for entry in os.listdir(self.site.directory)
                          if entry.startswith(name)], [])

    def test_all_ranks_go_out_and_come_back(self):
        folder = self.path("out")
        code, said = self.ask("export", "run", "latest", "--all", folder)
        self.assertEqual(code, 0, said)
        names = ["rank-0.safetensors", "rank-1.safetensors"]
        self.assertEqual(sorted(os.listdir(folder)), ["B3SUMS"] + names)
        with open(os.path.join(folder, "B3SUMS"), encoding="ascii") as sums:
            lines = sums.read().splitlines()
        for rank, name in enumerate(names):
            path = os.path.join(folder, name)
            shard = self.site.state("run", 5)["shards"][rank]
            self.assertEqual(shard["digest_kind"], "fingerprint")
            line, digest = lines[rank], lines[rank].split()[0]
            self.assertEqual(line, f"{digest}  {name}")
            self.assertNotEqual(digest, shard["digest"])
            self.assertIn(f"{digest}  {path}", said)
            if b3sum(path) is not None:
                self.assertEqual(b3sum(path), digest)
        if shutil.which("b3sum"):
            subprocess.run(["b3sum", "--check", "B3SUMS"], cwd=folder, check=True,
                           stdout=subprocess.DEVNULL)
        code, said = self.ask("import", "back", "9", folder, "--wait")
        self.assertEqual(code, 0, said)
        code, said = self.ask("export", "back", "9", "--all", self.path("again"))
        self.assertEqual(code, 0, said)
        with open(os.path.join(self.path("again"), "B3SUMS"), encoding="ascii") as sums:
            self.assertEqual(sums.read().splitlines(), lines)

    def test_a_folder_that_exists_and_is_empty_is_taken(self):
        os.mkdir(self.path("empty"))
        code, said = self.ask("export", "run", "5", "--all", self.path("empty") + "/", "--json")
        self.assertEqual(code, 0, said)
        said = json.loads(said)
        self.assertEqual((said["run"], said["step"], said["world"]), ("run", 5, 2))
        self.assertEqual(said["directory"], self.path("empty"))
        for rank, file in enumerate(said["files"]):
            self.assertEqual(file["rank"], rank)
            self.assertEqual(os.path.getsize(file["file"]), file["bytes"])

    def test_nothing_is_written_over(self):
        os.mkdir(self.path("full"))
        with open(self.path("full/mine"), "w", encoding="ascii") as file:
            file.write("mine")
        code, said = self.ask("export", "run", "5", "--all", self.path("full"))
        self.assertEqual(code, 1, said)
        self.assertIn("has files in it", said)
        self.assertEqual(os.listdir(self.path("full")), ["mine"])
        code, said = self.ask("export", "run", "5", "--all", self.path("full/mine"))
        self.assertEqual(code, 1, said)
        code, said = self.ask("export", "run", "5", "--all", self.path("no/such/place"))
        self.assertEqual(code, 1, said)
        self.assertIn("no/such/place", said)
        code, said = self.ask("export", "run", "6", "--all", self.path("out6"))
        self.assertEqual(code, 1, said)
        self.assertIn("run has no consistent step 6", said)
        for operands in (("run", "5", "--all"), ("run", "5", "0", "--all", "x"), ("run", "5", "0")):
            self.assertEqual(self.ask("export", *operands)[0], 2, operands)
        self.assert_nothing_is_left("out6")

    def test_what_fails_in_the_middle_leaves_nothing(self):
        self.job_.commit(6, size=100_000)
        self.job_.save_one(7, 0, size=1000)
        self.job_.save_one(7, 1, size=900_000)
        for rank in self.job_.ranks:
            rank.must("wait", 7, 20000)

        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

        code, said = self.ask("export", "run", "7", "--all", self.path("out"),
                              preexec_fn=small_files)
        self.assertEqual(code, 1, said)
        self.assertIn("rank-1.safetensors", said)
        self.assertIn("File too large", said)
        self.assert_nothing_is_left("out")

    def test_an_interrupted_export_leaves_nothing(self):
        agent = self.site.agents[0]
        agent.pause()
        wait_until("the agent is stopped", agent.is_stopped)
        with subprocess.Popen(self.command("export", "run", "5", "--all", self.path("out")),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=environment()) as process:

            def catches():
                with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                    mask = [line for line in status if line.startswith("SigCgt")][0].split()[1]
                return int(mask, 16) & 1 << signal.SIGTERM - 1

            wait_until("it catches signals", catches)
            process.send_signal(signal.SIGTERM)
            agent.resume()
            said = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("interrupted: nothing was written", said)
        self.assert_nothing_is_left("out")

    def test_a_folder_that_lost_a_rank_is_not_imported(self):
        folder = self.path("out")
        self.assertEqual(self.ask("export", "run", "5", "--all", folder)[0], 0)
        for name in ("rank-1.safetensors", "rank-0.safetensors"):
            whole = os.path.join(folder, name)
            os.rename(whole, self.path("aside"))
            code, said = self.ask("import", "lost", "1", folder)
            self.assertEqual(code, 1, said)
            self.assertIn("1 of the 2 ranks' files", said)
            os.rename(self.path("aside"), whole)
        self.assertEqual(self.ask("import", "lost", "1", folder, "--wait")[0], 0)


class Progress(IntegrationTest):
    """Long verbs say on a terminal how far they are, and in a file nothing of it."""

    def setUp(self):
        self.site = self.cluster(2)
        self.job_ = self.job(self.site, run="run")
        self.job_.commit(5)

    def on_terminal(self, *arguments):
        """(exit code, what the terminal got, standard output)."""
        ours, theirs = pty.openpty()
        command = [program("ckptctl"), *arguments,
                   f"--coordinator={self.site.coordinator.socket}"]
        if arguments[0] in ("import", "export"):
            command.append(f"--socket={self.site.agents[0].socket}")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True,
                              env=environment()) as process:
            os.close(theirs)
            out = process.communicate(timeout=60)[0]
        shown = b""
        try:
            while data := os.read(ours, 1 << 16):
                shown += data
        except OSError:  # EIO: the other end is closed
            pass
        os.close(ours)
        return process.returncode, shown.decode(), out

    def test_import_export_and_verify(self):
        folder = os.path.join(self.site.directory, "out")
        cases = (
            (("export", "run", "5", "--all", folder), "rank 0 is fetched"),
            (("import", "again", "1", folder, "--wait"), "0 of 2 ranks staged"),
        )
        for arguments, line in cases:
            code, shown, out = self.on_terminal(*arguments)
            self.assertEqual(code, 0, shown + out)
            self.assertIn(ERASE + line, shown)
            self.assertTrue(shown.endswith(ERASE), repr(shown))  # nothing of it stays
            self.assertNotIn("\n", shown)
            self.assertNotIn(ERASE, out)
        self.site.agents[1].pause()
        code, shown, out = self.on_terminal("verify", "run", "5", "--timeout=2s")
        self.site.agents[1].resume()
        self.assertEqual(code, 1, shown + out)
        self.assertRegex(shown, r"of 4 copies digested")
        self.assertRegex(shown, r"digested \(1 s\)")

    def test_not_beside_json_nor_in_a_file(self):
        code, shown, out = self.on_terminal("export", "run", "5", "--json", "--all",
                                            os.path.join(self.site.directory, "json"))
        self.assertEqual((code, shown), (0, ""))
        self.assertEqual(json.loads(out)["world"], 2)
        said = subprocess.run(
            [program("ckptctl"), "export", "run", "5", "--all",
             os.path.join(self.site.directory, "file"), f"--socket={self.site.agents[0].socket}"],
            capture_output=True, text=True, timeout=60, check=True, env=environment())
        self.assertEqual(said.stderr, "")

    def test_a_complaint_has_its_own_line(self):
        code, shown, _ = self.on_terminal("export", "run", "5", "--all", "/proc/nothing")
        self.assertEqual(code, 1)
        self.assertIn("ckptctl: cannot write", shown)
