# SPDX-License-Identifier: Apache-2.0
"""Tensors of a GPU that libckpt copies: a process with the tests' own driver, real daemons."""

import json
import os
import subprocess
import sys

import pytest

from conftest import BIN

FOLDER = os.path.join(BIN, "../tests/fake_gpu")
RANK = os.path.join(os.path.dirname(__file__), "gpu_rank.py")


def rank(cluster, run, script):
    """(what it printed, its log)"""
    if not os.path.exists(os.path.join(FOLDER, "libckpt_kernels.so.1")):
        pytest.skip("the build has no tests/fake_gpu")
    command = [sys.executable, RANK, FOLDER, cluster.agents[0].socket, run, "1", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_gpus_tensors_are_copied_and_proven_by_libckpt(shared_cluster, run):
    lines, log = rank(shared_cluster, run, "")
    assert [line["error"] for line in lines[:3]] == ["", "", ""]
    assert lines[3] == {"copies": 0} and "not proven" not in log
    assert lines[4] == {"step": 3, "proven": True, "equal": True}


def test_a_bit_that_flips_on_its_way_costs_that_save(shared_cluster, run):
    lines, _ = rank(shared_cluster, run, "flip=1")
    assert [line["error"] for line in lines[:3]] == ["", "CKPT_ERR_DIGEST", ""]
    assert "not those that the GPU had" in lines[1]["reason"]
    assert lines[4]["equal"]


def test_a_kernel_that_fails_costs_the_proof_and_is_said(shared_cluster, run):
    lines, log = rank(shared_cluster, run, "kernel=1")
    assert [line["error"] for line in lines[:3]] == ["", "", ""]
    assert lines[3] == {"copies": 0} and "computing values" in log
    assert lines[4]["equal"]


def test_what_libckpt_cannot_copy_torch_does(shared_cluster, run):
    lines, log = rank(shared_cluster, run, "sticky=1")
    assert lines[1]["error"] == "" and lines[3]["copies"] > 0
    assert "are torch's, and not proven" in log
