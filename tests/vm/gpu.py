#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpu.py FAKE_DRIVERS SHIM - `ckptbench raw --memory=gpu` over Soft-RoCE, in one machine of vm.py.

There is no GPU here, and Soft-RoCE takes no dma-buf. FAKE_DRIVERS has a libcuda.so.1 whose GPU is
host memory (tests/integration/ckptbench/fake_cuda.c), SHIM is tests/vm/shim/reg_dmabuf.c. All that
is between them is real: the export, the registration by descriptor, and reads of it."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

BENCH = os.path.join(os.environ["CKPT_BIN"], "ckptbench")
MODEL = "Fake GPU of the tests, 1"
SIZES = ["--bytes=16MiB", "--segment-bytes=4MiB", "--repeat=1", "--copy-threads=1"]
DRIVERS, SHIM = sys.argv[1:3]


def environment(driver=None, shim=False, fault=None):
    extra = {}
    if driver:
        extra["LD_LIBRARY_PATH"] = os.path.join(DRIVERS, driver)
    if shim:
        extra["LD_PRELOAD"] = SHIM
    if fault:
        extra["FAKE_CUDA"] = fault
    return {**os.environ, **extra}


def raw(*words, **settings):
    return subprocess.run(
        [BENCH, "raw", "--transport=verbs:rxe0", "--memory=gpu", *SIZES, *words],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


class Gpu(unittest.TestCase):
    def expect_read(self, done):
        """Raw compares what it read with what the source was filled with, and fails otherwise."""
        self.assertEqual(done.returncode, 0, done.stderr)
        used = [line for line in done.stderr.splitlines() if "event=shim_reg_dmabuf" in line]
        self.assertEqual(len(used), 4, "not each segment by its dma-buf: " + done.stderr)
        for line in used:
            self.assertIn("offset=0 bytes=4194304 ", line)
            self.assertTrue(line.endswith("error=0"), line)

    def expect_refusal(self, code, words, done):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(words, done.stderr)
        lines = [line for line in done.stderr.splitlines() if line.startswith("ckptbench: ")]
        self.assertEqual(len(lines), 1, done.stderr)

    def test_reads_from_a_gpu(self):
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            done = raw("--gpu=1", "--json=" + file.name, driver="good", shim=True)
            self.expect_read(done)
            with open(file.name, encoding="utf-8") as text:
                result = json.load(text)
        self.assertEqual((result["memory"], result["gpu"]), ("gpu", MODEL))
        self.assertGreater(result["points"][0]["gbps"], 0)
        print(done.stdout, flush=True)

    def test_reads_from_a_servers_gpu(self):
        words = [BENCH, "serve", "--listen=127.0.0.1:0", "--once"]
        with subprocess.Popen(
            words,
            env=environment(driver="good", shim=True),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as server:
            port = server.stdout.readline().rsplit(":", 1)[1].strip()
            done = raw(f"--connect=127.0.0.1:{port}")  # the client knows no GPU
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("shim_reg_dmabuf", done.stderr)
            said = server.communicate(timeout=30)[1]
            self.assertEqual(said.count("event=shim_reg_dmabuf"), 4, said)

    def test_soft_roce_takes_none(self):
        done = raw(driver="good")
        self.expect_refusal(2, "a device of this transport registers no dma-bufs", done)

    def test_what_is_missing_is_said(self):
        for code, words, settings in (
            (2, "no NVIDIA driver on this machine", {"driver": "broken"}),
            (2, "it is older than CUDA 11.7", {"driver": "old"}),
            (2, "the driver finds no GPU", {"driver": "good", "fault": "no_gpu"}),
            (2, "exports no dma-bufs", {"driver": "good", "fault": "no_dmabuf"}),
            (1, "allocating it: out of memory", {"driver": "good", "fault": "no_memory"}),
            (1, "exporting it as a dma-buf", {"driver": "good", "fault": "no_export"}),
        ):
            with self.subTest(words):
                self.expect_refusal(code, words, raw(shim=True, **settings))
        self.expect_refusal(2, "there is no GPU 2", raw("--gpu=2", driver="good", shim=True))


def main():
    if os.environ.get("CKPT_VM_GUESTS") != "1":
        print("skipped: this runs in one machine of tests/vm/vm.py")
        return 77
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Gpu)
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
