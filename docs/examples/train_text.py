# SPDX-License-Identifier: Apache-2.0
"""A small transformer on the bytes of a text, on several ranks, that survives the loss of a node.

    torchrun --nproc-per-node=2 docs/examples/train_text.py --run hello FILE

Kill it, or a whole node, and start it with the next --attempt: it goes on where the newest
consistent checkpoint is, with the very numbers it would have had; with another number of ranks
too. What is ckptd's are the lines that name `checkpoint`.
"""

import argparse
import time

import torch
import torch.distributed as distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

import ckptd

CONTEXT, WIDTH, HEADS, LAYERS = 48, 64, 4, 2
BATCH = 12  # of all ranks together: the same training for 1, 2, 3, 4 or 6 of them


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.before = torch.nn.LayerNorm(WIDTH)
        self.attention = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.between = torch.nn.LayerNorm(WIDTH)
        self.feed = torch.nn.Sequential(torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.GELU(),
                                        torch.nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x, mask):
        y = self.before(x)
        x = x + self.attention(y, y, y, attn_mask=mask, need_weights=False)[0]
        return x + self.feed(self.between(x))


class Transformer(torch.nn.Module):
    """Bytes in, scores of the next byte out."""

    def __init__(self):
        super().__init__()
        self.letters = torch.nn.Embedding(256, WIDTH)
        self.places = torch.nn.Embedding(CONTEXT, WIDTH)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(LAYERS))
        self.out = torch.nn.Linear(WIDTH, 256)
        mask = torch.full((CONTEXT, CONTEXT), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, letters):
        x = self.letters(letters) + self.places.weight
        for block in self.blocks:
            x = block(x, self.mask)
        return self.out(x)


class Loader:
    """Draws windows of a text. Its generator's state is part of the checkpoint."""

    def __init__(self, text):
        self.text = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()
        self.generator = torch.Generator().manual_seed(7)

    def batch(self, rank, world):
        begin = torch.randint(len(self.text) - CONTEXT - 1, (BATCH,), generator=self.generator)
        windows = torch.stack([self.text[b : b + CONTEXT + 1] for b in begin[rank::world]])
        return windows[:, :-1], windows[:, 1:]

    def state_dict(self):
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])


def make(mode, world):
    """A model and its optimizer: replicated, with a sharded optimizer, or sharded wholly."""
    torch.manual_seed(1)
    model = Transformer()
    if mode == "fsdp":
        mesh = init_device_mesh("cpu", (world,))
        for block in model.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
        return model, torch.optim.AdamW(model.parameters(), lr=3e-3)
    # Otherwise gradients are grouped anew after the first step, so that a restarted run would add
    # the same numbers in another order.
    model = DistributedDataParallel(model, find_unused_parameters=True)
    if mode == "zero":
        return model, ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW, lr=3e-3)
    return model, torch.optim.AdamW(model.parameters(), lr=3e-3)


def train_step(model, optimizer, loader, rank, world):
    """One step; the loss over all ranks."""
    letters, following = loader.batch(rank, world)
    optimizer.zero_grad()
    scores = model(letters)
    loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), following.flatten())
    loss.backward()
    optimizer.step()
    mean = loss.detach() / world
    distributed.all_reduce(mean)
    return mean.item()


def train(rank, world, say, *, mode, text, run, attempt, steps, save_every, socket=None, pace=0.0,
          linger=0.0):
    """Trains to `steps`, telling say() what happens. socket "" trains without ckptd."""
    model, optimizer = make(mode, world)
    loader = Loader(text)
    checkpoint, first, open_saves = None, 0, []
    begin = time.monotonic()
    if socket != "":
        checkpoint = ckptd.attach(model, optimizer, {"loader": loader}, run=run, attempt=attempt,
                                  socket=socket)
        first = checkpoint.next_step
        say(("resumed", checkpoint.resumed, time.monotonic() - begin))
    for step in range(first + 1, steps + 1):
        say(("step", step, train_step(model, optimizer, loader, rank, world)))
        if checkpoint is not None and step % save_every == 0:
            begin = time.monotonic()
            handle = checkpoint.save(step)
            say(("stall", step, time.monotonic() - begin))
            if handle.error is None:
                open_saves.append((handle, begin))
            else:
                say(("failed", step, str(handle.error)))
        open_saves = look(open_saves, say)
        time.sleep(pace)
    end = time.monotonic() + linger
    while open_saves and time.monotonic() < end:
        open_saves = look(open_saves, say)
        time.sleep(0.005)
    if checkpoint is not None:
        checkpoint.close()
    return model


def look(open_saves, say):
    """Which saves have become consistent meanwhile: training need not know, people want to."""
    left = []
    for handle, begin in open_saves:
        try:
            handle.consistent(0)
            say(("consistent", handle.step, time.monotonic() - begin))
        except ckptd.Timeout:
            left.append((handle, begin))
        except ckptd.Error as error:
            say(("failed", handle.step, str(error)))
    return left


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--run", default="train-text")
    parser.add_argument("--attempt", type=int)
    parser.add_argument("--mode", choices=("ddp", "zero", "fsdp"), default="ddp")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--save-every", type=int, default=20)
    options = parser.parse_args()
    distributed.init_process_group("gloo")
    rank, world = distributed.get_rank(), distributed.get_world_size()
    with open(options.file, "rb") as file:
        text = file.read()

    def say(note):
        if rank == 0 or note[0] == "failed":
            print(*note, flush=True)

    train(rank, world, say, mode=options.mode, text=text, run=options.run,
          attempt=options.attempt, steps=options.steps, save_every=options.save_every, linger=10)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
