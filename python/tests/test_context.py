# SPDX-License-Identifier: Apache-2.0
"""libckpt from Python, without PyTorch: layouts, errors, threads."""

import ctypes
import gc
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest

import ckptd
from ckptd import library

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))


def table(data, name="x"):
    buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
    return ckptd.Table([ckptd.Tensor(name, "U8", (len(data),), ctypes.addressof(buffer),
                                     len(data))]), buffer


def test_structs_are_those_of_the_header(tmp_path):
    """What cffi was told, and what a compiler makes of include/ckpt/ckpt.h."""
    lines, expected = [], []
    for struct in ("ckpt_options", "ckpt_tensor", "ckpt_metadata", "ckpt_info", "ckpt_shard"):
        lines.append(f'printf("%zu\\n", sizeof(struct {struct}));')
        expected.append(library.ffi.sizeof(f"struct {struct}"))
        for name, member in library.ffi.typeof(f"struct {struct}").fields:
            lines.append(f'printf("%zu %zu\\n", offsetof(struct {struct}, {name}), '
                         f"sizeof(((struct {struct} *)0)->{name}));")
            expected.append((member.offset, library.ffi.sizeof(member.type)))
    source = tmp_path / "sizes.c"
    source.write_text("#include <stdio.h>\n#include <ckpt/ckpt.h>\nint main(void) {\n"
                      + "\n".join(lines) + "\nreturn 0; }\n")
    subprocess.run(["gcc", "-I", f"{ROOT}/include", "-o", tmp_path / "sizes", source], check=True)
    said = subprocess.run([tmp_path / "sizes"], check=True, capture_output=True, text=True).stdout
    got = [tuple(map(int, line.split())) for line in said.splitlines()]
    assert got == [one if isinstance(one, tuple) else (one,) for one in expected]


def test_functions_are_those_that_are_exported():
    """A declared function that libckpt lacks would fail only when it is called."""
    for name in re.findall(r"\b(ckpt_\w+)\(", library.CDEF):
        assert getattr(library.library(), name)


def test_every_status_has_a_class():
    header = open(f"{ROOT}/include/ckpt/status.h", encoding="ascii").read()
    names = re.findall(r"X\((CKPT_ERR_\w+),", header)
    assert len(names) > 30
    kinds = {name: type(ckptd.errors.of_status(name, "")) for name in names}
    assert kinds["CKPT_ERR_FULL"] is ckptd.Full and kinds["CKPT_ERR_WORLD"] is ckptd.WorldChanged
    known = set(ckptd.errors._BY_STATUS)
    assert known <= set(names), known - set(names)


def test_saved_bytes_come_back(shared_cluster, run):
    entry, buffer = table(bytes(range(256)) * 40)
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        context.save(1, entry, {"note": "zürich"})
        context.wait(1, 20)
        assert context.info().step == 1
        with context.load() as shard:
            assert bytes(shard.data("x")) == bytes(buffer) and shard.metadata["note"] == "zürich"
            with pytest.raises(TypeError):
                shard.data("x")[0] = 1
        with ckptd.Context(run, socket=shared_cluster.agents[1].socket, reader=True) as other:
            with other.fetch(0) as copy:
                assert bytes(copy.data("x")) == bytes(buffer)


def test_what_is_closed_says_so(shared_cluster, run):
    """And gives its shards back, whose memory would be gone."""
    entry, _buffer = table(b"x" * 100)
    context = ckptd.Context(run, socket=shared_cluster.agents[0].socket)
    context.save(1, entry)
    context.wait(1, 20)
    shard = context.load()
    context.close()
    context.close()
    shard.close()
    assert len(shard.file()) == 0
    for call in (lambda: context.save(2, entry), context.info, context.load,
                 lambda: context.wait(1, 1)):
        with pytest.raises(ckptd.UsageError, match="closed"):
            call()


def test_no_agent_is_an_exception_that_says_what_to_do(tmp_path):
    with pytest.raises(ckptd.NoAgent) as caught:
        ckptd.Context("run", socket=str(tmp_path / "nobody.sock"))
    assert "nobody.sock" in caught.value.reason and "ckptd" in caught.value.reason


def test_no_coordinator_is_named_and_blames_no_rank(start_cluster):
    cluster = start_cluster(agents=1)
    context = ckptd.Context("run", socket=cluster.agents[0].socket, world=1, copies=1)
    entry, _ = table(b"abc")
    context.save(1, entry)
    context.wait(1, 20)
    cluster.coordinator.kill()
    context.save(2, entry)
    for call in (lambda: context.wait(2, 1.0), lambda: context.load(timeout=1.0)):
        with pytest.raises(ckptd.NoCoordinator, match="no coordinator answers .* for ") as caught:
            call()
        assert isinstance(caught.value, ckptd.Timeout) and isinstance(caught.value, ckptd.NoAgent)
    cluster.coordinator.start()
    context.wait(2, 20)
    context.close()


@pytest.mark.parametrize("settings, kind, word", [
    ({"rank": 3, "world": 2}, ckptd.UsageError, "rank"),
    ({"world": 0}, ckptd.UsageError, "world"),
    ({"run": "not a name"}, ckptd.UsageError, "name"),
])
def test_wrong_settings(shared_cluster, settings, kind, word):
    values = {"run": "wrong", "socket": shared_cluster.agents[0].socket, **settings}
    with pytest.raises(kind) as caught:
        ckptd.Context(**values)
    assert word in str(caught.value).lower()


def test_wrong_tensors(shared_cluster, run):
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        entry, _buffer = table(b"four", name="__metadata__")
        with pytest.raises(ckptd.UsageError, match="NAME"):
            context.save(1, entry)
        with pytest.raises(ckptd.Error, match="DTYPE"):
            ckptd.Table([ckptd.Tensor("x", "F128", (1,), 0, 16)])
        entry, _buffer = table(b"four")
        entry.array[0].bytes = 5
        with pytest.raises(ckptd.UsageError, match="SIZE"):
            context.save(1, entry)
        entry, _buffer = table(b"four")
        context.save(2, entry)
        with pytest.raises(ckptd.UsageError, match="STEP"):
            context.save(2, entry)


def test_a_wait_holds_up_no_save(shared_cluster, run):
    """A thread waits for what never comes (rank 1 saves nothing); saves go on meanwhile."""
    with ckptd.Context(run, world=2, socket=shared_cluster.agents[0].socket) as context:
        entry, _buffer = table(b"x" * 1000)
        context.save(1, entry)
        ended = []

        def wait():
            try:
                context.wait(1, 30)
            except ckptd.Error as error:
                ended.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        for step in range(2, 6):
            begin = time.monotonic()
            context.save(step, entry)
            assert time.monotonic() - begin < 10 and thread.is_alive()
        thread.join(0)
    del thread


def test_a_stopped_agent_costs_the_bound_and_other_threads_run(shared_cluster, run):
    """The interpreter's lock is free while a call waits for the agent."""
    counted = [0]
    stop = threading.Event()

    def count():
        while not stop.wait(0.001):
            counted[0] += 1

    agent = shared_cluster.agents[2]
    entry, _buffer = table(b"x" * 1000)
    with ckptd.Context(run, socket=agent.socket, timeout=0.5) as context:
        thread = threading.Thread(target=count)
        agent.pause()
        try:
            thread.start()
            with pytest.raises(ckptd.NoAgent, match="stopped or overloaded"):
                context.save(1, entry)
        finally:
            agent.resume()
            stop.set()
            thread.join()
        assert counted[0] > 20
        context.save(1, entry)
        context.wait(1, 20)


def test_the_package_works_without_pytorch(shared_cluster, run):
    code = ("import sys; sys.modules['torch'] = None; import ckptd; "
            f"ckptd.Context({run!r}, socket={shared_cluster.agents[0].socket!r}).close(); "
            "print(ckptd.version())")
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert re.match(r"\d+\.\d+\.\d+$", said.stdout.strip())


def test_a_wheel_installs_and_finds_the_library(tmp_path):
    """Built from a copy, as building writes beside the sources."""
    shutil.copytree(f"{ROOT}/python/ckptd", tmp_path / "src/ckptd")
    shutil.copy(f"{ROOT}/python/pyproject.toml", tmp_path / "src")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path / "out",
                    tmp_path / "src"], check=True, capture_output=True)
    wheel = next((tmp_path / "out").iterdir())
    assert wheel.name == "ckptd-0.1.0-py3-none-any.whl"
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel],
                   check=True, capture_output=True)
    code = "import ckptd; print(ckptd.__file__, ckptd.version())"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(tmp_path / "site")}, cwd=tmp_path)
    assert said.stdout.startswith(str(tmp_path / "site")) and "0.1." in said.stdout


def test_without_the_library_the_reason_says_so(tmp_path):
    code = ("import ckptd\ntry:\n    ckptd.version()\n"
            "except ckptd.Error as error:\n    print(error.reason)")
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                          env={**os.environ, "CKPT_LIBRARY": str(tmp_path / "none.so")})
    assert "CKPT_LIBRARY" in said.stdout and "none.so" in said.stdout


def test_what_nobody_can_reach_any_more_is_given_back(shared_cluster, run):
    """A shard when its last view is gone, a context when nobody has it: the rank is free again."""
    entry, buffer = table(bytes(range(256)) * 40)
    socket = shared_cluster.agents[0].socket
    context = ckptd.Context(run, socket=socket)
    context.save(1, entry)
    context.wait(1, 20)
    given_back = []
    unload = context.unload
    context.unload = lambda raw: (given_back.append(1), unload(raw))
    data = context.fetch(0).data("x")
    gc.collect()
    assert not given_back and bytes(data) == bytes(buffer)  # there as long as a view of it is
    del data
    gc.collect()
    assert given_back
    del context.unload, unload
    assert sys.getrefcount(context) == 2
    del context
    gc.collect()
    ckptd.Context(run, socket=socket).close()  # the same rank, of the same attempt
