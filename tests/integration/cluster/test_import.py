# SPDX-License-Identifier: Apache-2.0
"""ckptctl import: what is no file, what is damaged or beyond, and folders that are one model."""

import json
import os
import struct
import subprocess

from cluster import b3sum
from harness import IntegrationTest
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

    def ask(self, *arguments):
        """(exit code, what was said)."""
        agent = self.site.agents[0]
        said = subprocess.run(
            [program("ckptctl"), *arguments, f"--coordinator={self.site.coordinator.socket}"]
            + ([f"--socket={agent.socket}"] if arguments[0] in ("import", "export") else []),
            capture_output=True, text=True, timeout=60, check=False, env=environment())
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
                code, said = self.ask("export", f"run{self.count}", "1", str(rank), out)
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
