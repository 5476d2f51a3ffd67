// SPDX-License-Identifier: Apache-2.0
// The copy of a save beside memcpy: 1 GiB of memory into a shared mapping of a file in memory, both
// faulted in; as one piece by one and by two threads, and as many small pieces by one.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <benchmark/benchmark.h>

extern "C" {
#include "client/copy.h"
}

constexpr size_t total_bytes = size_t{1} << 30;

struct memory {
    uint8_t *from;
    uint8_t *to;
};

static const memory &both()
{
    static const memory once = [] {
        int fd = memfd_create("slot", MFD_CLOEXEC);
        void *to = MAP_FAILED;
        if (fd >= 0 && ftruncate(fd, total_bytes) == 0) {
            to = mmap(nullptr, total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
                      0);
        }
        auto *from = static_cast<uint8_t *>(std::aligned_alloc(4096, total_bytes));
        if (to == MAP_FAILED || from == nullptr) {
            std::abort();
        }
        std::memset(from, 1, total_bytes);
        std::memset(to, 2, total_bytes);
        return memory{from, static_cast<uint8_t *>(to)};
    }();
    return once;
}

static void done(benchmark::State &state)
{
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                            static_cast<int64_t>(total_bytes));
}

static void by_memcpy(benchmark::State &state)
{
    const memory &m = both();
    size_t threads = static_cast<size_t>(state.range(0));
    size_t part = total_bytes / threads;
    for (auto _ : state) {
        std::vector<std::thread> others;
        for (size_t i = 1; i < threads; i++) {
            others.emplace_back(
                [&m, i, part] { std::memcpy(m.to + i * part, m.from + i * part, part); });
        }
        std::memcpy(m.to, m.from, part);
        std::for_each(others.begin(), others.end(), [](std::thread &t) { t.join(); });
    }
    done(state);
}

static void by_copy(benchmark::State &state)
{
    const memory &m = both();
    copy_piece piece = {0, m.from, total_bytes, 0};
    for (auto _ : state) {
        copy_pieces(m.to, &piece, 1, static_cast<uint32_t>(state.range(0)));
    }
    done(state);
}

static void small_by_memcpy(benchmark::State &state)
{
    const memory &m = both();
    size_t bytes = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        for (size_t at = 0; at < total_bytes; at += bytes) {
            std::memcpy(m.to + at, m.from + at, bytes);
        }
    }
    done(state);
}

static void small_by_copy(benchmark::State &state)
{
    const memory &m = both();
    size_t bytes = static_cast<size_t>(state.range(0));
    std::vector<copy_piece> pieces;
    for (size_t at = 0; at < total_bytes; at += bytes) {
        pieces.push_back({at, m.from + at, bytes, at});
    }
    for (auto _ : state) {
        copy_pieces(m.to, pieces.data(), pieces.size(), 1);
    }
    done(state);
}

BENCHMARK(by_memcpy)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(by_copy)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(small_by_memcpy)->RangeMultiplier(8)->Range(512, 262144)->Unit(benchmark::kMillisecond);
BENCHMARK(small_by_copy)->RangeMultiplier(8)->Range(512, 262144)->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
