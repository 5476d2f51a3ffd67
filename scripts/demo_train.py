# SPDX-License-Identifier: Apache-2.0
"""A transformer trains on four nodes; a rank is killed, a node is lost, half of the ranks go away.

Usage: demo_train.py [BIN]      BIN: folder with the programs (default: build/release/bin)

Everything is real but the machines: one coordinator, four agents, four PyTorch ranks, gloo between
them, all on this host. Ends with a table and "demo-train: OK", or with what went wrong.
"""

import hashlib
import os
import shutil
import statistics
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
BIN = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build/release/bin"))
os.environ["CKPT_BIN"] = BIN
os.environ["CKPT_LIBRARY"] = os.path.join(BIN, "../lib/libckpt.so.0")
os.environ["PYTHONPATH"] = os.path.join(ROOT, "python")
os.environ.update(PYTHONWARNINGS="ignore", TORCH_CPP_LOG_LEVEL="ERROR", OMP_NUM_THREADS="1")
sys.path[:0] = [os.path.join(ROOT, part) for part in
                ("python", "docs/examples", "python/tests", "tests/integration/cluster", "scripts")]

TEXT = "/usr/share/common-licenses/GPL-3"
WORLD, EVERY, RUN = 4, 5, "demo-train"
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def title(text):
    print(f"\n\033[1m== {text}\033[0m" if COLOUR else f"\n== {text}", flush=True)


def said(text):
    print(f"   {text}", flush=True)


def check(what, holds):
    if not holds:
        print(f"   ✗ {what}\ndemo-train: FAILED", flush=True)
        sys.exit(1)
    said(f"✓ {what}")


def rank_main(rank, world, say, **settings):
    """In every rank: trains, and returns a digest of all parameters."""
    import train_text

    model = train_text.train(rank, world, say, **settings)
    found = hashlib.sha256()
    for name, parameter in sorted(model.module.named_parameters()):
        found.update(name.encode() + parameter.detach().numpy().tobytes())
    return found.hexdigest()


class Case:
    def __init__(self):
        self.cleanups = []

    def addCleanup(self, function):
        self.cleanups.append(function)

    def has_failed(self):
        return False


class Watch:
    """Prints what rank 0 says as it comes."""

    def __init__(self, job, every=10):
        self.job, self.every, self.seen = job, every, 0

    def look(self, notes):
        for note in notes[0][self.seen :]:
            if note[0] == "step" and note[1] % self.every == 0:
                bar = "█" * max(1, round(note[2] * 6))
                said(f"step {note[1]:4}   loss {note[2]:.6f}   {bar}")
            elif note[0] == "resumed" and note[1] is not None:
                said(f"goes on after step {note[1]}: restored in {note[2] * 1e3:.0f} ms")
            elif note[0] == "failed":
                said(f"step {note[1]} was not saved: {note[2]}")
        self.seen = len(notes[0])
        return False


class Story:
    def __init__(self, cluster, text):
        self.cluster, self.text, self.attempt = cluster, text, 0
        self.rows, self.stalls, self.consistents = [], [], []

    def start(self, nodes, steps, pace):
        import ranks

        self.attempt += 1
        sockets = [self.cluster.agents[node].socket for node in nodes]
        return ranks.Job(len(nodes), rank_main, lambda rank: {"socket": sockets[rank]},
                         mode="ddp", text=self.text, run=RUN, attempt=self.attempt, steps=steps,
                         save_every=EVERY, pace=pace, linger=20)

    def until(self, job, step):
        """Until every rank has trained past the step, and knows a save near it to be consistent."""
        watch = Watch(job)

        def enough(notes):
            watch.look(notes)
            return all(any(n[0] == "step" and n[1] >= step for n in mine)
                       and any(n[0] == "consistent" and n[1] >= step - 2 * EVERY for n in mine)
                       for mine in notes)

        job.wait_note(enough, 120)

    def to_end(self, job):
        watch = Watch(job)
        job.wait_note(lambda notes: watch.look(notes) or all(
            process.exitcode is not None for process in job.processes) or all(job.results), 240)
        return job.wait(60)

    def note(self, what, before, job):
        """What an interruption has cost. before: the last step that was trained before it."""
        resumed = {n[1] for mine in job.notes for n in mine if n[0] == "resumed"}
        restore = max(n[2] for mine in job.notes for n in mine if n[0] == "resumed")
        check("all ranks go on from the same step", len(resumed) == 1 and None not in resumed)
        step = resumed.pop()
        self.rows.append((what, step, before - step, restore))

    def take(self, job):
        self.stalls += [n[2] for mine in job.notes for n in mine if n[0] == "stall"]
        self.consistents += [n[2] for mine in job.notes for n in mine if n[0] == "consistent"]


def last_step(job):
    return max(n[1] for mine in job.notes for n in mine if n[0] == "step")


def tell(cluster):
    import ranks

    with open(TEXT, "rb") as file:
        text = file.read()
    story = Story(cluster, text)
    title("1. Four ranks on n0 n1 n2 n3 train a transformer on the text of the GPL")
    job = story.start([0, 1, 2, 3], 100, 0.02)
    story.until(job, 22)
    title("2. Rank 1 is killed, and the job with it; it starts again on the same nodes")
    job.kill(1)
    job.kill()
    story.take(job)
    before, job = last_step(job), story.start([0, 1, 2, 3], 100, 0.02)
    story.until(job, 44)
    story.note("a rank is killed", before, job)
    title("3. Node n2 is lost: its rank, its agent and its memory. Rank 2 goes to n3")
    job.kill(2)
    cluster.agents[2].kill()
    cluster.agents[2].wipe()
    job.kill()
    story.take(job)
    before, job = last_step(job), story.start([0, 1, 3, 3], 60, 0.0)
    digests = story.to_end(job)
    story.note("a node is lost", before, job)
    story.take(job)
    losses = {n[1]: n[2] for n in job.notes[0] if n[0] == "step"}
    title("4. The same training, which nothing happens to and ckptd knows nothing of")
    truth = ranks.Job(WORLD, rank_main, mode="ddp", text=text, run="truth", attempt=1, steps=60,
                      save_every=EVERY, socket="")
    wanted = story.to_end(truth)
    curve = {n[1]: n[2] for n in truth.notes[0] if n[0] == "step"}
    said(f"SHA-256 of all parameters: {wanted[0][:32]}...")
    said(f"of the interrupted run:    {digests[0][:32]}...")
    check("every parameter after step 60 is the same, bit for bit", set(digests) == set(wanted))
    check("every loss since the last restart is the same, bit for bit",
          all(curve[step] == loss for step, loss in losses.items()))
    title("5. Two ranks are left: they go on with what four have saved")
    job = story.start([0, 1], 80, 0.0)
    story.to_end(job)
    story.note("half of the ranks", 60, job)
    story.take(job)
    end = max((n[1], n[2]) for n in job.notes[0] if n[0] == "step")
    check(f"the loss goes on falling: {curve[1]:.2f} at first, {curve[60]:.2f} at step 60, "
          f"{end[1]:.2f} at step {end[0]}", end[1] < curve[60] + 0.2)
    return story


def table(story):
    title("What it cost")
    said(f"{'':20} {'restored step':>14} {'steps lost':>11} {'time to restore':>16}")
    for what, step, lost, seconds in story.rows:
        said(f"{what:20} {step:14} {lost:11} {seconds * 1e3:13.0f} ms")
    said("")
    said(f"stall of a save:     median {statistics.median(story.stalls) * 1e3:7.2f} ms, "
         f"worst {max(story.stalls) * 1e3:.2f} ms, of {len(story.stalls)}")
    said(f"time to consistent:  median {statistics.median(story.consistents) * 1e3:7.2f} ms, "
         f"seen between two steps of training, of {len(story.consistents)}")


def main():
    import cluster as clusters

    begin = time.monotonic()
    case = Case()
    try:
        cluster = clusters.Cluster(case, agents=4).start()
        said(f"a coordinator and {len(cluster.agents)} agents, each a failure domain, "
             f"on {os.cpu_count()} CPUs; programs of {os.path.relpath(BIN)}")
        story = tell(cluster)
        table(story)
    finally:
        for function in reversed(case.cleanups):
            function()
    width = shutil.get_terminal_size((80, 24)).columns
    print("\n" + f"demo-train: OK ({time.monotonic() - begin:.0f} seconds)"[:width])


if __name__ == "__main__":
    main()
