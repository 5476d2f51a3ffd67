# SPDX-License-Identifier: Apache-2.0
"""Real daemons for every test: one coordinator and some agents, on private sockets and free ports.

$CKPT_BIN is the folder with the programs (default: build/dev/bin); libckpt is beside it unless
$CKPT_LIBRARY says otherwise.
"""

import glob
import os
import sys

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BIN = os.path.abspath(os.environ.setdefault("CKPT_BIN", os.path.join(ROOT, "build/dev/bin")))
for folder in (os.path.join(BIN, ".."), os.path.join(BIN, "../lib")):
    for path in glob.glob(os.path.join(folder, "libckpt.so.0")):
        os.environ.setdefault("CKPT_LIBRARY", os.path.abspath(path))
sys.path[:0] = [os.path.join(ROOT, "docs/examples"),
                os.path.join(ROOT, "tests/integration/cluster"), os.path.join(ROOT, "python"),
                os.path.dirname(__file__)]
os.environ["PYTHONPATH"] = os.path.join(ROOT, "python")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import ckptd  # noqa: E402  (needs the path above, as the next)
import cluster as clusters  # noqa: E402


class _Case:
    """What the harness of the integration tests expects of a test."""

    def __init__(self):
        self.cleanups, self.failed = [], False

    def addCleanup(self, function):
        self.cleanups.append(function)

    def has_failed(self):
        return self.failed


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        case = getattr(item, "ckptd_case", None)
        if case is not None:
            case.failed = True


@pytest.fixture
def start_cluster(request):
    """start_cluster(agents=3, ...): a cluster that ends with the test."""
    case = request.node.ckptd_case = _Case()

    def start(agents=3, **options):
        return clusters.Cluster(case, agents=agents, **options).start()

    yield start
    for function in reversed(case.cleanups):
        function()


@pytest.fixture(scope="module")
def shared_cluster():
    """One cluster for the tests of a file that kill nothing; each test takes a run of its own."""
    case = _Case()
    cluster = clusters.Cluster(case, agents=3, agent={"arena-bytes": "192MiB"}).start()
    yield cluster
    for function in reversed(case.cleanups):
        function()


@pytest.fixture
def run(request):
    """A run's name that no other test has."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"test/{name}"[:100]


@pytest.fixture
def attach(shared_cluster, run):
    opened = []

    def attach_(model, optimizer=None, extra=None, **settings):
        settings.setdefault("socket", shared_cluster.agents[0].socket)
        one = ckptd.attach(model, optimizer, extra, **{"run": run, **settings})
        opened.append(one)
        return one

    yield attach_
    for one in opened:
        one.close()
