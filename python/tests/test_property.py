# SPDX-License-Identifier: Apache-2.0
"""Whatever a training's state is, and however it changes: what comes back is what was saved.

$CKPT_PROPERTY_CASES cases (500), from number $CKPT_PROPERTY_FIRST (0). A case that fails is named
by its number; with it as the first and one case it is run alone.
"""

import copy
import os
import random
import warnings

import pytest
import states_at_random as states
import torch

import ckptd

CASES = int(os.environ.get("CKPT_PROPERTY_CASES", "500"))
FIRST = int(os.environ.get("CKPT_PROPERTY_FIRST", "0"))
BATCH = 100


def snapshot(model, them, extra):
    return copy.deepcopy({"model": dict(model.state_dict()), "extra": extra,
                          "optimizers": [one.state_dict() for one in them]})


def run_case(number, socket, run):
    """Attaches, changes and saves a random state, and restores it into a twin. The difference."""
    draw = random.Random(number)
    torch.manual_seed(number)
    model = states.module(draw)
    make = states.optimizers(draw, model)
    twin_wrap, wrap = draw.random() < 0.5, draw.random() < 0.5
    them = make(model)
    extra = {name: states.plain(draw) for name in draw.sample(states.NAMES, draw.randint(0, 3))}
    settings = {"run": run, "socket": socket, "rank": 0, "world": 1}
    bare = model
    if wrap:
        model = states.wrapped(draw, model)
    before = []
    with ckptd.attach(model, them, extra, attempt=2 * number + 1, resume=False,
                      **settings) as checkpoint:
        saves = draw.randint(1, 3)
        for save in range(saves):
            for _ in range(draw.randint(0, 3)):
                states.change(draw, bare, them, extra, before)
            before = [copy.deepcopy(one.state_dict()) for one in them]
            step = 10 * number + save + 1
            handle = checkpoint.save(step)
            wanted = snapshot(bare, them, extra)
            states.train(draw, bare, them)  # what happens later is not in it
            if handle.error is not None or save == saves - 1:
                handle.consistent(30)
    twin = copy.deepcopy(bare)
    states.spoil(draw, twin, extra)
    its = make(twin)
    found = {key: value for key, value in extra.items() if key in wanted["extra"]}
    inside = states.wrapped(draw, twin) if twin_wrap else twin
    with ckptd.attach(inside, its, found, attempt=2 * number + 2, **settings) as resumed:
        if resumed.resumed != step:
            return f"step {resumed.resumed} was restored, and {step} is the newest"
        return states.differs(wanted, snapshot(twin, its, found))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", range(FIRST, FIRST + CASES, BATCH))
def test_what_comes_back_is_what_was_saved(shared_cluster, first):
    socket = shared_cluster.agents[0].socket
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(first, min(first + BATCH, FIRST + CASES)):
            try:
                difference = run_case(number, socket, "property")
            except Exception as error:
                error.add_note(f"case {number}")
                raise
            assert difference is None, f"case {number}: {difference}"
