# SPDX-License-Identifier: Apache-2.0
"""Tensors of a device, which an engine, a driver and the CPU's memory stand in for."""

import mmap
import os
import threading

import pytest
import torch

import ckptd
from ckptd import device, registered
from ckptd.gpu_direct import Driver, GpuDirect, NoDmaBuf, Part, Range, ranges


def make():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(24, 24), torch.nn.Linear(24, 3))
    return model, torch.optim.AdamW(model.parameters(), lr=0.01)


class SlowEngine:
    """Stands in for CUDA: takes CPU tensors for a device's, and copies when it is told to."""

    def __init__(self):
        self.go, self.fail, self.registered = threading.Event(), False, []
        self.finished = 0

    def register(self, context, begin, end):
        self.registered.append((begin, end))

    def finish_work(self, devices):
        self.finished += len(devices)

    def by_library(self, context, step, places, sources):
        return None

    def start(self, pairs):
        pairs = list(pairs)

        def wait():
            assert self.go.wait(20)
            if self.fail:
                raise RuntimeError("CUDA error: an illegal memory access")
            for target, source in pairs:
                target.copy_(source)

        return wait


@pytest.fixture
def fake_device(monkeypatch):
    """The CPU is a device: everything but the calls of CUDA itself."""
    engine = SlowEngine()

    class Source:
        def __init__(self, tensor):
            self.tensor, self.device = tensor, torch.device("cuda:0")

        def __getattr__(self, name):
            return getattr(self.tensor, name)

    monkeypatch.setitem(device._engines, "cuda", engine)
    monkeypatch.setattr(registered.Entry, "source", property(lambda self: Source(self.local)))
    monkeypatch.setattr(device, "_memory", lambda address, like, real=device._memory:
                        real(address, like.tensor))
    start = engine.start
    engine.start = lambda pairs: start([(target, source.tensor) for target, source in pairs])
    return engine


def test_a_device_copies_behind_the_save(attach, fake_device):
    model, optimizer = make()
    checkpoint = attach(model, optimizer, {"note": "on the CPU"})
    handle = checkpoint.save(1)
    with pytest.raises(ckptd.Timeout):
        handle.staged(0.05)
    second = checkpoint.save(2)
    assert second.error.status == "CKPT_ERR_BUSY"
    with pytest.raises(ckptd.Timeout):
        handle.consistent(0.05)
    fake_device.go.set()
    assert handle.staged(20) and handle.consistent(20)
    with checkpoint.context_or_raise().fetch(0) as shard:
        assert bytes(shard.data("0.weight")) == model[0].weight.detach().numpy().tobytes()
    assert fake_device.registered
    assert checkpoint.save(3).consistent(20)


class FakeRuntime:
    """Registrations as CUDA keeps them: by the address, whatever is mapped there."""

    def __init__(self):
        self.known, self.made, self.fail = {}, 0, False

    def register(self, address, size):
        if self.fail or address in self.known:
            raise ckptd.Error("CKPT_ERR_SYSTEM", "cudaHostRegister failed: CUDA error 712")
        # It is mapped: its first and last byte can be read.
        device.ffi.buffer(device.ffi.cast("char *", address), size)[0]
        device.ffi.buffer(device.ffi.cast("char *", address), size)[size - 1]
        self.known[address] = size
        self.made += 1

    def unregister(self, address):
        size = self.known.pop(address)
        device.ffi.buffer(device.ffi.cast("char *", address), size)[size - 1]


def test_a_registration_ends_before_its_mapping(shared_cluster, run):
    """Shards that grow get other segments: 15 of 40 saves met an address with another file."""
    runtime = FakeRuntime()
    pinned = device.Pinned(runtime.register, runtime.unregister)
    context = ckptd.Context(run, socket=shared_cluster.agents[0].socket)
    context.watch_mappings(pinned.watch)
    most = 0
    for step in range(1, 25):
        size = (1 + step % 5) * (3 << 20)
        table = ckptd.Table([ckptd.Tensor("x", "U8", (size,), 0, size)])
        [address] = context.save_begin(step, table)
        pinned.pin(address, address + size)
        mapped = {known for known, size in runtime.known.items()}
        assert any(known <= address < known + runtime.known[known] for known in mapped)
        assert set(runtime.known) <= set(pinned._mapped)
        most = max(most, len(runtime.known))
        context.save_end(step)
        context.wait(step, 20)
    assert runtime.made >= 5 and most >= 2
    context.close()
    assert not runtime.known and not pinned._mapped


def test_a_registration_that_is_refused_is_said_once(shared_cluster, run, caplog):
    runtime = FakeRuntime()
    runtime.fail = True
    pinned = device.Pinned(runtime.register, runtime.unregister)
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        context.watch_mappings(pinned.watch)
        table = ckptd.Table([ckptd.Tensor("x", "U8", (100,), 0, 100)])
        for step in (1, 2, 3):
            [address] = context.save_begin(step, table)
            pinned.pin(address, address + 100)
            context.save_end(step)
    assert caplog.text.count("bounce buffer") == 1 and "CUDA error 712" in caplog.text


def test_a_device_that_fails_costs_one_save(attach, fake_device):
    model, optimizer = make()
    checkpoint = attach(model, optimizer)
    fake_device.fail = True
    fake_device.go.set()
    handle = checkpoint.save(1)
    with pytest.raises(ckptd.Error, match="illegal memory access"):
        handle.consistent(20)
    fake_device.fail = False
    assert checkpoint.save(2).consistent(20)


def test_a_device_without_support_is_refused(attach, fake_device):
    device._engines.pop("cuda")
    handle = attach(*make()).save(1)
    device._engines["cuda"] = fake_device
    assert "cannot be saved" in handle.error.reason


class FakeCuda:
    """libcuda.so.1 for memory of a memfd that this process has mapped at base."""

    def __init__(self, allocations, descriptor=-1, result=0, attributes=()):
        self.allocations, self.descriptor, self.result = allocations, descriptor, result
        self.attributes = dict(attributes)  # {(attribute, an allocation's base): value}
        self.asked, self.exported = [], []

    def _find(self, address):
        return next((one for one in self.allocations if one[0] <= address < one[0] + one[1]), None)

    def cuMemGetAddressRange_v2(self, base, size, address):
        self.asked.append(address)
        if self._find(address) is None:
            return 1
        base[0], size[0] = self._find(address)
        return 0

    def cuPointerGetAttribute(self, data, attribute, address):
        if self._find(address) is None:
            return 1
        data[0] = self.attributes.get((attribute, self._find(address)[0]), 0)
        return 0

    def cuMemGetHandleForAddressRange(self, handle, address, size, kind, flags):
        assert address % 4096 == 0 and size % 4096 == 0 and (kind, flags) == (1, 0)
        self.exported.append((address, size))
        if self.result == 0:
            handle[0] = os.dup(self.descriptor)
        return self.result


MIB = 1 << 20


def test_parts_are_found_by_their_allocations():
    cuda = FakeCuda([(MIB, MIB), (4 * MIB, 100)])
    parts = [Part(0, 4 * MIB + 10, 50), Part(1, MIB, 512), Part(2, MIB + 512, 1000)]
    assert ranges(Driver(cuda), parts, 4096) == [
        Range(MIB, 4096, [parts[1], parts[2]]), Range(4 * MIB, 4096, [parts[0]])]
    assert len(cuda.asked) == 2
    with pytest.raises(NoDmaBuf, match="CUDA error 1"):
        ranges(Driver(cuda), [Part(0, 77, 1)], 4096)
    # No more than is needed, in pages of the host's: of 64 KiB on some.
    assert ranges(Driver(cuda), [Part(0, MIB + 70000, 10)], 65536) == [
        Range(MIB + 65536, 65536, [Part(0, MIB + 70000, 10)])]


def test_a_tensor_over_several_pieces_is_exported_whole():
    """PyTorch's expandable segments: 20 MiB a piece, one after the other."""
    pieces = [(100 * MIB + i * 20 * MIB, 20 * MIB) for i in range(4)] + [(300 * MIB, 20 * MIB)]
    cuda = FakeCuda(pieces)
    parts = [Part(0, 110 * MIB, 45 * MIB), Part(1, 155 * MIB, 4096), Part(2, 310 * MIB, 8)]
    assert ranges(Driver(cuda), parts, 4096) == [
        Range(110 * MIB, 45 * MIB + 4096, parts[:2]), Range(310 * MIB, 4096, parts[2:])]
    with pytest.raises(NoDmaBuf, match="CUDA error 1"):  # past the last piece
        ranges(Driver(cuda), [Part(0, 310 * MIB, 50 * MIB)], 4096)


@pytest.mark.parametrize("attribute, word", [(8, "managed"), (17, "pool")])
def test_memory_that_no_dma_buf_can_be_of_is_refused_before_it_is_exported(attribute, word):
    cuda = FakeCuda([(MIB, MIB), (4 * MIB, MIB)], attributes={(attribute, 4 * MIB): 1})
    direct = GpuDirect(Driver(cuda))
    assert not direct.gather(FakeContext(), 1, [Part(0, MIB, 8), Part(1, 4 * MIB, 8)])
    assert word in direct.refusal and not cuda.exported


class FakeContext:
    """Stands in for an agent that takes dma-bufs: reads them by the descriptor it is handed."""

    def __init__(self, error=None):
        self.error, self.read = error, {}

    def save_gather(self, step, descriptor, places):
        if self.error is not None:
            raise self.error
        for index, offset in places:
            self.read[index] = os.pread(descriptor, 8, offset)


def test_what_the_agent_is_handed_leads_to_the_bytes():
    descriptor = os.memfd_create("device")
    os.write(descriptor, bytes(range(256)) * 64)
    with mmap.mmap(descriptor, 0) as memory:
        base = 5 << 20  # where the device has it; the fake asks nobody
        cuda = FakeCuda([(base + 64, len(memory) - 64)], descriptor)
        context, direct = FakeContext(), GpuDirect(Driver(cuda))
        before = len(os.listdir("/proc/self/fd"))
        assert direct.gather(context, 1, [Part(0, base + 64, 8), Part(3, base + 4099, 8)])
        assert context.read == {0: memory[64:72], 3: memory[4099:4107]}
        assert cuda.exported == [(base, 8192)]
        assert len(os.listdir("/proc/self/fd")) == before
    os.close(descriptor)


@pytest.mark.parametrize("error, is_over", [
    (ckptd.Error("CKPT_ERR_UNSUPPORTED", "none"), False),
    (ckptd.Timeout("CKPT_ERR_TIMEOUT", "no answer"), True),
    (ckptd.NoAgent("CKPT_ERR_NO_AGENT", "gone"), True),
])
def test_a_refusal_is_remembered_and_silence_is_not(error, is_over):
    descriptor = os.memfd_create("device")
    os.truncate(descriptor, 4096)
    cuda = FakeCuda([(4096, 4096)], descriptor)
    direct = GpuDirect(Driver(cuda))
    if is_over:
        with pytest.raises(type(error)):
            direct.gather(FakeContext(error), 1, [Part(0, 4096, 8)])
        assert direct.refusal is None
    else:
        assert not direct.gather(FakeContext(error), 1, [Part(0, 4096, 8)])
        assert direct.refusal == str(error)
        assert not direct.gather(FakeContext(), 2, [Part(0, 4096, 8)])
        assert len(cuda.exported) == 1
    os.close(descriptor)


def test_a_driver_that_exports_nothing():
    direct = GpuDirect(Driver(FakeCuda([(4096, 4096)], result=801)))
    assert not direct.gather(FakeContext(), 1, [Part(0, 4096, 8)])
    assert "CUDA error 801" in direct.refusal


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="there is a GPU")
def test_without_a_driver():
    direct = GpuDirect()
    assert not direct.gather(FakeContext(), 1, [Part(0, 4096, 8)])
    assert "libcuda.so.1" in direct.refusal


def test_an_agent_that_takes_none_costs_no_save(attach, fake_device, monkeypatch, caplog):
    """Over UCX it takes none: that is found out once, said once, and the engine copies."""
    descriptor = os.memfd_create("device")
    os.truncate(descriptor, 1 << 20)
    cuda = FakeCuda([(0, 1 << 62)], descriptor)
    monkeypatch.setattr("ckptd.gpu_direct.Driver", lambda: Driver(cuda))
    fake_device.go.set()
    model, optimizer = make()
    checkpoint = attach(model, optimizer, gpu_direct=True)
    for step in (1, 2):
        assert checkpoint.save(step).consistent(20)
    assert len(cuda.exported) == 1 and fake_device.finished == 1
    assert caplog.text.count("copied through the host") == 1
    assert "CKPT_ERR_UNSUPPORTED" in caplog.text
    with checkpoint.context_or_raise().fetch(0) as shard:
        assert bytes(shard.data("0.weight")) == model[0].weight.detach().numpy().tobytes()
    os.close(descriptor)
