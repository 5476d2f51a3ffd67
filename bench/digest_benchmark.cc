// SPDX-License-Identifier: Apache-2.0
// BLAKE3 by each engine this CPU runs: one chunk that is in the cache, 1 GiB that is not, a fold;
// and fingerprints.
// Compare with `b3sum --num-threads 1`; docs/digest.md has the roofline.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include <benchmark/benchmark.h>

#include "digest/fingerprint.h"

constexpr size_t chunk_bytes = size_t{1} << 20;

// Written once, so that its pages are there.
static uint8_t *memory(size_t bytes)
{
    auto *data = static_cast<uint8_t *>(std::aligned_alloc(4096, bytes));

    if (data == nullptr) {
        std::abort();
    }
    uint64_t word = 1;
    for (size_t i = 0; i < bytes; i += sizeof(word)) {
        word = word * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        std::memcpy(data + i, &word, sizeof(word));
    }
    return data;
}

static void chunk(benchmark::State &state, const digest_engine *engine)
{
    uint8_t *data = memory(chunk_bytes);
    uint8_t cv[DIGEST_CV_BYTES];

    for (auto _ : state) {
        if (digest_chunk(engine, data, chunk_bytes, 1, 3 * chunk_bytes, cv) != CKPT_OK) {
            state.SkipWithError("digest_chunk");
        }
        benchmark::DoNotOptimize(cv);
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * chunk_bytes));
    std::free(data);
}

static void bytes(benchmark::State &state, const digest_engine *engine)
{
    auto size = static_cast<size_t>(state.range(0));
    uint8_t *data = memory(size);
    digest root;

    for (auto _ : state) {
        digest_bytes(engine, data, size, &root);
        benchmark::DoNotOptimize(root);
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * size));
    std::free(data);
}

static void fingerprint(benchmark::State &state, const digest_engine *engine)
{
    const uint8_t secret[FINGERPRINT_SECRET_BYTES] = {1};
    auto size = static_cast<size_t>(state.range(0));
    uint8_t *data = memory(size);
    fingerprint_key key;
    digest value;

    fingerprint_key_derive(secret, &key);
    for (auto _ : state) {
        fingerprint_bytes(engine, &key, data, size, &value);
        benchmark::DoNotOptimize(value);
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * size));
    std::free(data);
}

static void stream(benchmark::State &state, const digest_engine *engine)
{
    auto piece = static_cast<size_t>(state.range(0));
    uint8_t *data = memory(chunk_bytes);
    auto *stream = new digest_stream;

    digest_stream_init(stream, engine);
    for (auto _ : state) {
        for (size_t at = 0; at < chunk_bytes; at += piece) {
            digest_stream_update(stream, data + at, piece);
        }
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * chunk_bytes));
    delete stream;
    std::free(data);
}

static void fold(benchmark::State &state)
{
    auto chunks = static_cast<uint64_t>(state.range(0));
    uint8_t *cvs = memory(chunks * DIGEST_CV_BYTES);
    digest root;

    for (auto _ : state) {
        if (digest_fold(cvs, chunks, chunks * chunk_bytes, &root) != CKPT_OK) {
            state.SkipWithError("digest_fold");
        }
        benchmark::DoNotOptimize(root);
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * chunks));
    std::free(cvs);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < digest_engine_count(); i++) {
        const digest_engine *engine = digest_engine_at(i);
        std::string name = digest_engine_name(engine);

        if (!digest_engine_supported(engine)) {
            continue;
        }
        benchmark::RegisterBenchmark(("chunk/" + name).c_str(), chunk, engine);
        benchmark::RegisterBenchmark(("bytes/" + name).c_str(), bytes, engine)
            ->Arg(4 << 10)
            ->Arg(64 << 10)
            ->Arg(1 << 30)
            ->Unit(benchmark::kMicrosecond);
        benchmark::RegisterBenchmark(("stream/" + name).c_str(), stream, engine)
            ->Arg(4 << 10)
            ->Arg(1 << 20);
        benchmark::RegisterBenchmark(("fingerprint/" + name).c_str(), fingerprint, engine)
            ->Arg(256 << 10)
            ->Arg(256 << 20)
            ->Unit(benchmark::kMicrosecond);
    }
    benchmark::RegisterBenchmark("fold", fold)->Arg(1 << 10)->Arg(1 << 18);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 1;
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
