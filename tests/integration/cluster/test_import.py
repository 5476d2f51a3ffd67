# SPDX-License-Identifier: Apache-2.0
"""ckptctl import: what is no file, what is damaged or beyond, and folders that are one model."""

import json
import os
import struct
import subprocess

from cluster import b3sum
from harness import IntegrationTest, wait_until
from process import environment, program

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DATA = struct.pack("<2f", 1, 2)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4000\n"


class Import(IntegrationTest):
    def setUp(self):
        self.site = self.cluster(2)
        self.count = 0

    def path(self, name):
        return os.path.join(self.site.directory, name)

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def safetensors(self, name, header, data=DATA):
        text = json.dumps(header).encode()
        return self.write(name, struct.pack("<Q", len(text)) + text + data)

    def command(self, *arguments):
        return [program("ckptctl"), *arguments, f"--coordinator={self.site.coordinator.socket}"] + (
            [f"--socket={self.site.agents[0].socket}"] if arguments[0] == "import" else [])

    def ask(self, *arguments):
        """(exit code, what was said)."""
        said = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60,
                              check=False, env=environment())
        return said.returncode, said.stdout + said.stderr

    def import_(self, *files):
        """(exit code, what was said), as a run of its own."""
        self.count += 1
        return self.ask("import", f"run{self.count}", "1", "--wait", *files)

    def test_what_is_no_regular_file_is_refused_at_once(self):
        os.mkfifo(self.path("fifo"))
        os.symlink("nowhere", self.path("link"))
        good = self.safetensors("good.safetensors", {"a": F32})
        for name, reason in (("fifo", "no regular file"), ("link", "No such file"),
                             ("missing", "No such file")):
            code, said = self.import_(good, self.path(name))
            self.assertEqual(code, 1, said)
            self.assertIn(self.path(name), said)
            self.assertIn(reason, said)
        code, said = self.import_("/dev/null")
        self.assertEqual(code, 1, said)

    def test_nothing_is_staged_when_one_of_the_files_is_bad(self):
        good = self.safetensors("good.safetensors", {"a": F32})
        pointer = self.write("pointer.safetensors", POINTER)
        for bad in (self.path("missing"), pointer):
            self.assertEqual(self.ask("import", "staged", "1", good, bad)[0], 1)
        # The step is still free: nothing took it.
        code, said = self.ask("import", "staged", "1", "--wait", good, good)
        self.assertEqual(code, 0, said)

    def test_a_step_that_is_there_is_said_to_be_there(self):
        good = self.safetensors("good.safetensors", {"a": F32})
        self.assertEqual(self.ask("import", "twice", "5", "--wait", good)[0], 0)
        code, said = self.ask("import", "twice", "5", good)
        self.assertEqual(code, 1, said)
        self.assertIn("twice has step 5 already; choose a higher step", said)
        code, said = self.ask("import", "twice", "4", good)
        self.assertEqual(code, 1, said)
        self.assertIn("twice is at step 5 already; choose a higher step", said)
        # A higher one is taken, of the same world and of another.
        self.assertEqual(self.ask("import", "twice", "6", "--wait", good)[0], 0)
        self.assertEqual(self.ask("import", "twice", "7", "--wait", good, good)[0], 0)

    def test_a_job_that_runs_keeps_its_run(self):
        good = self.safetensors("good.safetensors", {"a": F32})
        job = self.job(self.site, run="busy", attempt=3)
        job.ranks[0].must("become", os.geteuid())
        job.commit(10)
        for world in ([good], [good, good]):
            code, said = self.ask("import", "busy", "20", *world)
            self.assertEqual(code, 1, said)
            self.assertIn("a job of busy runs (attempt 3, 2 ranks)", said)
        job.commit(11)
        for rank in job.ranks:
            rank.kill()
        code, said = self.ask("import", "busy", "20", "--wait", good)
        self.assertEqual(code, 0, said)
        code, said = self.ask("import", "busy", "21", "--attempt=4", good)
        self.assertEqual(code, 1, said)
        self.assertIn("attempt 4 of busy was begun before; name one above 4", said)

    def while_the_agent_hangs(self, run, files, change):
        """An import between its look at the files and its first word with the agent, when change()
        comes. (exit code, what was said)."""
        agent = self.site.agents[0]
        agent.pause()
        wait_until("the agent is stopped", agent.is_stopped)
        with subprocess.Popen(self.command("import", run, "1", "--wait", *files),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=environment()) as process:

            def is_open():
                with open(f"/proc/{process.pid}/maps", encoding="ascii") as maps:
                    text = maps.read()
                return all(os.path.realpath(file) in text for file in files)

            wait_until("all files are open", is_open)
            change()
            agent.resume()
            said = process.communicate(timeout=60)[0]
        return process.returncode, said

    def test_a_file_that_changes_after_it_was_looked_at(self):
        first = self.safetensors("first.safetensors", {"a": F32})
        second = self.safetensors("second.safetensors", {"a": F32})

        def rewrite():
            self.safetensors("second.safetensors", {"b": F32})

        code, said = self.while_the_agent_hangs("changed", [first, second], rewrite)
        self.assertEqual(code, 1, said)
        self.assertIn(f"{second} was written to since it was looked at", said)
        self.assertIn("1 of 2 ranks were staged, and become no checkpoint; the same command begins"
                      " anew", said)
        # And so it does.
        code, said = self.ask("import", "changed", "1", "--wait", first, second)
        self.assertEqual(code, 0, said)

    def test_a_file_that_goes_away_after_it_was_looked_at(self):
        first = self.safetensors("first.safetensors", {"a": F32})
        second = self.safetensors("second.safetensors", {"a": F32})
        code, said = self.while_the_agent_hangs("gone", [first, second],
                                                lambda: os.unlink(second))
        self.assertEqual(code, 0, said)
        self.assertIn("2 ranks", said)

    def test_an_import_that_was_killed_is_begun_anew(self):
        files = [self.safetensors(f"{i}.safetensors", {"a": F32}) for i in range(2)]
        agent = self.site.agents[1]
        agent.pause()  # no copy: what was staged waits
        with subprocess.Popen(self.command("import", "killed", "1", "--wait", *files),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=environment()) as process:
            wait_until("all is staged", lambda: self.site.state("killed", 1)["shards"]
                       and self.site.state("killed", 1)["shards_sealed"] == 2)
            process.kill()
        code, said = self.ask("import", "killed", "1", *files)
        self.assertEqual(code, 0, said)
        self.assertIn("attempt 2", said)
        agent.resume()
        self.assertEqual(self.site.wait_state("killed", 1)["attempt"], 2)

    def test_damaged_files_are_asked_about(self):
        whole = {"a": {"dtype": "F32", "shape": [200], "data_offsets": [0, 800]}}
        hole = {"a": F32, "b": {"dtype": "F32", "shape": [1], "data_offsets": [12, 16]}}
        cases = {
            "cut": (self.safetensors("cut.safetensors", whole), "damaged"),
            "cut.bin": (self.safetensors("cut.bin", whole), "damaged"),
            "hole": (self.safetensors("hole", hole, DATA * 2), "damaged"),
            "more": (self.safetensors("more", {"a": F32}, DATA + b"junk"), "damaged"),
            "header": (self.write("header.safetensors", struct.pack("<Q", 500) + b"{"), "none"),
            "empty": (self.write("empty.safetensors", b""), "none"),
            "pointer": (self.write("model.bin", POINTER), "git lfs pull"),
        }
        for name, (path, reason) in cases.items():
            with self.subTest(name):
                code, said = self.import_(path)
                self.assertEqual(code, 1, said)
                self.assertIn(path, said)
                self.assertIn(reason, said)
                self.assertIn("--opaque", said)
                code, said = self.import_("--opaque", path)
                self.assertEqual(code, 0, said)
                self.assertIn("opaque bytes", said)

    def test_what_is_beyond_the_limits_is_named_and_said_to_be_safetensors(self):
        deep = self.safetensors(
            "deep.safetensors",
            {"a": {"dtype": "F32", "shape": [2] + [1] * 8, "data_offsets": [0, 8]}})
        new = self.safetensors(
            "new.safetensors", {"a": {"dtype": "Q9", "shape": [8], "data_offsets": [0, 8]}})
        other = self.write("model.pt", b"PK\3\4 something")
        code, said = self.ask("import", "beyond", "1", deep, new, other, "--json", "--wait")
        self.assertEqual(code, 0, said)
        said = json.loads(said)
        self.assertEqual(said["opaque"], 3)
        reasons = {entry["file"]: entry["reason"] for entry in said["opaque_files"]}
        self.assertIn("9 dimensions", reasons[deep])
        self.assertIn("Q9", reasons[new])
        code, said = self.import_(deep, other)
        self.assertIn(f"{deep} is safetensors, but beyond", said)
        self.assertIn(f"{other} is not safetensors", said)

    def folder(self, name):
        """A sharded model as a cache has it: links to blobs, and an index."""
        names = [f"model-{i:05}-of-00003.safetensors" for i in (1, 2, 3)]
        for i, file in enumerate(names):
            self.safetensors(f"{name}/blobs/{i}", {f"layer.{i}": F32})
            os.symlink(f"blobs/{i}", self.path(f"{name}/{file}"))
        weights = {f"layer.{i}": file for i, file in enumerate(names)}
        self.index(name, weights)
        return [self.path(f"{name}/{file}") for file in names], weights

    def index(self, name, weights):
        return self.write(f"{name}/model.safetensors.index.json", json.dumps(
            {"metadata": {"total_size": 24}, "weight_map": weights}).encode())

    def test_a_folder_with_an_index_is_one_checkpoint(self):
        files, _ = self.folder("model")
        for operands in ([self.path("model")], [self.path("model/model.safetensors.index.json")],
                         sorted(files + [self.path("model/model.safetensors.index.json")])):
            code, said = self.import_(*operands)
            self.assertEqual(code, 0, said)
            self.assertIn("3 ranks", said)
            for rank, file in enumerate(files):
                out = self.path("out")
                code, said = self.ask("export", f"run{self.count}", "1", str(rank), out,
                                      f"--socket={self.site.agents[0].socket}")
                self.assertEqual(code, 0, said)
                self.assertEqual(b3sum(out), b3sum(file))

    def test_a_folder_that_is_no_whole_model_is_refused(self):
        files, weights = self.folder("model")
        os.makedirs(self.path("none"))
        cases = [(self.path("none"), "0 indexes"), (self.path("model/blobs"), "0 indexes")]
        for name, change in (
                ("lacks", {"layer.9": os.path.basename(files[0])}),
                ("elsewhere", {"layer.9": "../model/" + os.path.basename(files[0])}),
                ("number", {"layer.9": 5})):
            index = self.index("model", {**weights, **change})
            code, said = self.import_(index)
            self.assertEqual(code, 1, (name, said))
            self.assertIn("layer.9", said)
        self.index("model", weights)
        os.unlink(files[1])
        cases.append((self.path("model"), files[1]))
        for folder, reason in cases:
            code, said = self.import_(folder)
            self.assertEqual(code, 1, said)
            self.assertIn(reason, said)
        code, said = self.import_(self.write("x.safetensors.index.json", b"{}"))
        self.assertEqual(code, 1)
        self.assertIn("weight_map", said)
        # A folder with one file needs no index.
        self.safetensors("single/model.safetensors", {"a": F32})
        self.assertEqual(self.import_(self.path("single"))[0], 0)
