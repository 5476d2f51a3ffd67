# SPDX-License-Identifier: Apache-2.0
"""A real training run: a transformer on a real text, four ranks on four agents, and failures.

The run that nothing happens to, without ckptd, is the truth: an interrupted one ends with the same
parameters and losses, bit for bit, where the world is the same.
"""

import hashlib

import pytest

import ranks
import train_text

WORLD, STEPS, EVERY = 4, 24, 4
TEXT = "/usr/share/common-licenses/GPL-3"  # of base-files, which every Debian has


def digest(model):
    """Of all parameters, whole, in the order of their names."""
    found = hashlib.sha256()
    module = getattr(model, "module", model)
    for name, parameter in sorted(module.named_parameters()):
        whole = parameter.full_tensor() if hasattr(parameter, "full_tensor") else parameter
        found.update(name.encode() + whole.detach().numpy().tobytes())
    return found.hexdigest()


def rank_main(rank, world, say, **settings):
    return digest(train_text.train(rank, world, say, **settings))


def start(world, cluster, nodes, mode, run, attempt, **settings):
    """Rank r runs on node nodes[r]."""
    def per_rank(rank):
        return {"socket": cluster.agents[nodes[rank]].socket if cluster else ""}

    with open(TEXT, "rb") as file:
        text = file.read()
    return ranks.Job(world, rank_main, per_rank, mode=mode, text=text, run=run, attempt=attempt,
                     steps=STEPS, save_every=EVERY, **settings)


def losses(job):
    return {step: value for kind, step, value in job.notes[0] if kind == "step"}


def resumed(job):
    """The step that every rank went on from."""
    found = {note[1] for notes in job.notes for note in notes if note[0] == "resumed"}
    assert len(found) == 1, found
    return found.pop()


def train_until_consistent(job, step=8):
    """Until every rank knows that `step` is consistent, and has gone on training."""
    def enough(notes):
        return all(any(note[0] == "consistent" and note[1] >= step for note in mine)
                   and any(note[0] == "step" and note[1] > step + 2 for note in mine)
                   for mine in notes)

    job.wait_note(enough)


_truth = {}


def truth(mode, world=WORLD):
    """(digest, losses) of the run that nothing happens to."""
    if (mode, world) not in _truth:
        job = start(world, None, None, mode, "truth", 1)
        digests = job.wait()
        assert len(set(digests)) == 1
        _truth[mode, world] = (digests[0], losses(job))
    return _truth[mode, world]


def check_same(job, digests, mode):
    """Ends where the truth ends, with each loss the same to the last bit."""
    wanted, curve = truth(mode)
    assert set(digests) == {wanted}
    found = losses(job)
    assert found and all(curve[step] == value for step, value in found.items())
    assert curve[STEPS] < curve[1] - 1  # it has learnt something


@pytest.mark.parametrize("mode", ["ddp", "zero", "fsdp"])
def test_a_killed_rank(start_cluster, run, mode):
    cluster = start_cluster(agents=4)
    job = start(WORLD, cluster, [0, 1, 2, 3], mode, run, 1, pace=0.02)
    train_until_consistent(job)
    job.kill(1)
    job.kill()  # what the launcher does to the others
    again = start(WORLD, cluster, [0, 1, 2, 3], mode, run, 2)
    digests = again.wait()
    assert resumed(job) is None and resumed(again) >= 8
    check_same(again, digests, mode)


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_a_lost_node(start_cluster, run, mode):
    """Agent and ranks of a node at once, and its memory with them; its ranks go elsewhere."""
    cluster = start_cluster(agents=4)
    job = start(WORLD, cluster, [0, 1, 2, 3], mode, run, 1, pace=0.02)
    train_until_consistent(job)
    job.kill(2)
    cluster.agents[2].kill()
    cluster.agents[2].wipe()
    job.kill()
    again = start(WORLD, cluster, [0, 1, 3, 0], mode, run, 2)
    digests = again.wait()
    assert resumed(again) >= 8
    check_same(again, digests, mode)


@pytest.mark.parametrize("mode, world", [("ddp", 2), ("fsdp", 3), ("zero", 2)])
def test_another_world_after_a_lost_node(start_cluster, run, mode, world):
    """The curve goes on: as in the truth up to the order in which numbers are added."""
    cluster = start_cluster(agents=4)
    job = start(WORLD, cluster, [0, 1, 2, 3], mode, run, 1, pace=0.02)
    train_until_consistent(job)
    cluster.agents[3].kill()
    cluster.agents[3].wipe()
    job.kill()
    again = start(world, cluster, [0, 1, 2], mode, run, 2)
    again.wait()
    begin = resumed(again)
    assert begin >= 8
    curve, found = truth(mode)[1], losses(again)
    assert sorted(found) == list(range(begin + 1, STEPS + 1))
    for step, value in found.items():
        assert abs(value - curve[step]) < 0.02, (step, value, curve[step])


def test_training_without_agents_goes_on(start_cluster, run):
    """All agents die under a run: it ends with the parameters it would have had."""
    cluster = start_cluster(agents=4)
    job = start(WORLD, cluster, [0, 1, 2, 3], "ddp", run, 1, pace=0.01)
    job.wait_note(lambda notes: any(note[0] == "step" and note[1] >= 6 for note in notes[0]))
    for agent in cluster.agents:
        agent.kill()
    digests = job.wait()
    assert any(note[0] == "failed" for note in job.notes[0])
    check_same(job, digests, "ddp")
