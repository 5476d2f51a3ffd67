/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAKE3 of chunks of 1 MiB to their chaining values.
 *
 * A block of 128 threads has a chunk, a thread eight leaves that lie one after the other, which it
 * joins itself, by a stack of at most three values; the threads' 128 values are joined level by
 * level. Groups of 8 and of 128 are aligned, so an odd one that is carried up gives the tree that
 * is defined, whatever the length.
 *
 * Leaves lie 8 KiB apart, so threads do not read them themselves: a warp copies the next 128 bytes
 * of its 32 threads' leaves, row by row, to a tile in shared memory while it compresses those of
 * the tile before. Columns of a tile are exchanged by the row's number, so that neither the copies
 * nor the reads meet in a bank. docs/kernels.md has the counts.
 */
#include "kernels/cuda_text.h"
#include "kernels/launch.h"

#include "digest/blake3.h"

#define THREADS 128
#define WARPS (THREADS / WARP_LANES)
#define BLOCKS_OF_64_REGISTERS 8 /* shared memory allows three to four; more is not asked for */
#define THREAD_LEAVES 8
#define THREAD_BYTES (THREAD_LEAVES * BLAKE3_LEAF_BYTES)
#define STACK_DEPTH 3 /* of eight leaves: 4, 2 and 1 */
#define CV_WORDS (KERNELS_CV_BYTES / 4)

#define PIECE_BYTES 128 /* of a leaf in a tile: a line of memory, two blocks */
#define LEAF_PIECES (BLAKE3_LEAF_BYTES / PIECE_BYTES)
#define ROW_VECTORS (PIECE_BYTES / 16)
#define TILE_VECTORS (WARP_LANES * ROW_VECTORS)
#define BLOCK_VECTORS (BLAKE3_BLOCK_BYTES / 16)
#define TURN_ROWS (WARP_LANES / ROW_VECTORS) /* that a warp's lanes copy at once */

static_assert(THREADS * THREAD_BYTES == CHUNK_BYTES, "a block has a chunk");
static_assert(ROW_VECTORS == 8 && TURN_ROWS == 4, "how columns are exchanged");

#define MIX(a, b, c, d, x, y)                                                                      \
    do {                                                                                           \
        a = a + b + (x);                                                                           \
        d = rotate_right<16>(d ^ a);                                                               \
        c = c + d;                                                                                 \
        b = rotate_right<12>(b ^ c);                                                               \
        a = a + b + (y);                                                                           \
        d = rotate_right<8>(d ^ a);                                                                \
        c = c + d;                                                                                 \
        b = rotate_right<7>(b ^ c);                                                                \
    } while (0)

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15)                \
    MIX(v[0], v[4], v[8], v[12], m[s0], m[s1]);                                                    \
    MIX(v[1], v[5], v[9], v[13], m[s2], m[s3]);                                                    \
    MIX(v[2], v[6], v[10], v[14], m[s4], m[s5]);                                                   \
    MIX(v[3], v[7], v[11], v[15], m[s6], m[s7]);                                                   \
    MIX(v[0], v[5], v[10], v[15], m[s8], m[s9]);                                                   \
    MIX(v[1], v[6], v[11], v[12], m[s10], m[s11]);                                                 \
    MIX(v[2], v[7], v[8], v[13], m[s12], m[s13]);                                                  \
    MIX(v[3], v[4], v[9], v[14], m[s14], m[s15]);

TEXT_INLINE void compress(uint32_t cv[CV_WORDS], const uint32_t m[16], uint64_t counter,
                          uint32_t bytes, uint32_t flags)
{
    uint32_t v[16] = {cv[0],
                      cv[1],
                      cv[2],
                      cv[3],
                      cv[4],
                      cv[5],
                      cv[6],
                      cv[7],
                      BLAKE3_IV0,
                      BLAKE3_IV1,
                      BLAKE3_IV2,
                      BLAKE3_IV3,
                      (uint32_t)counter,
                      (uint32_t)(counter >> 32),
                      bytes,
                      flags};

    BLAKE3_ROUNDS(ROUND)
#pragma unroll
    for (unsigned i = 0; i < CV_WORDS; i++) {
        cv[i] = v[i] ^ v[CV_WORDS + i];
    }
}

TEXT_INLINE void start(uint32_t cv[CV_WORDS])
{
    cv[0] = BLAKE3_IV0, cv[1] = BLAKE3_IV1, cv[2] = BLAKE3_IV2, cv[3] = BLAKE3_IV3;
    cv[4] = BLAKE3_IV4, cv[5] = BLAKE3_IV5, cv[6] = BLAKE3_IV6, cv[7] = BLAKE3_IV7;
}

/* The parent of left, a column of shared memory with stride words between its words, and cv. */
TEXT_INLINE void join(const uint32_t *left, unsigned stride, uint32_t cv[CV_WORDS], uint32_t flags)
{
    uint32_t m[16];

#pragma unroll
    for (unsigned i = 0; i < CV_WORDS; i++) {
        m[i] = left[i * stride];
        m[CV_WORDS + i] = cv[i];
    }
    start(cv);
    compress(cv, m, 0, BLAKE3_BLOCK_BYTES, BLAKE3_PARENT | flags);
}

TEXT_INLINE void put(uint32_t *column, unsigned stride, const uint32_t cv[CV_WORDS])
{
#pragma unroll
    for (unsigned i = 0; i < CV_WORDS; i++) {
        column[i * stride] = cv[i];
    }
}

/* Begins to copy piece number `piece` of its threads' leaves to the warp's tile. */
template <bool FULL>
TEXT_INLINE void fetch(uint4 *tile, const uint8_t *chunk, unsigned chunk_bytes, unsigned piece)
{
    unsigned lane = threadIdx.x % WARP_LANES;
    unsigned row = lane / ROW_VECTORS, column = lane % ROW_VECTORS;
    unsigned at = (threadIdx.x - lane + row) * THREAD_BYTES + piece * PIECE_BYTES + column * 16;
    /* The row of turn i is 4 i + row: an odd turn has another exchange. */
    uint4 *target[2] = {tile + row * ROW_VECTORS + (column ^ row),
                        tile + row * ROW_VECTORS + (column ^ row ^ TURN_ROWS)};

#pragma unroll
    for (unsigned i = 0; i < ROW_VECTORS; i++, at += TURN_ROWS * THREAD_BYTES) {
        uint4 *here = target[i % 2] + i * WARP_LANES;

        if (FULL) {
            copy16(here, chunk + at);
        } else {
            unsigned left = at < chunk_bytes ? chunk_bytes - at : 0;

            copy16_part(here, left > 0 ? chunk + at : chunk, left < 16 ? left : 16);
        }
    }
}

/* Compresses block 0 or 1 of this thread's row. */
TEXT_INLINE void take_block(uint32_t cv[CV_WORDS], const uint4 *tile, unsigned block,
                            uint64_t leaf_index, uint32_t bytes, uint32_t flags)
{
    unsigned lane = threadIdx.x % WARP_LANES;
    uint32_t m[16];

#pragma unroll
    for (unsigned i = 0; i < BLOCK_VECTORS; i++) {
        unsigned column = (block * BLOCK_VECTORS + i) ^ lane % ROW_VECTORS;
        uint4 words = tile[lane * ROW_VECTORS + column];

        m[4 * i] = words.x, m[4 * i + 1] = words.y;
        m[4 * i + 2] = words.z, m[4 * i + 3] = words.w;
    }
    compress(cv, m, leaf_index, bytes, flags);
}

/* cv is the value of leaf `leaf` of this thread's `leaves`: joins it with what is complete then. */
TEXT_INLINE void push(uint32_t *stack, uint32_t cv[CV_WORDS], unsigned leaf, unsigned leaves,
                      uint32_t root)
{
    unsigned depth = __popc(leaf);
    unsigned merges = leaf + 1 == leaves ? depth : __ffs(leaf + 1) - 1;

#pragma unroll 1
    for (unsigned i = 1; i <= merges; i++) {
        bool last = leaf + 1 == leaves && i == depth;

        join(stack + (depth - i) * CV_WORDS * THREADS, THREADS, cv, last ? root : 0);
    }
    if (leaf + 1 < leaves) {
        put(stack + (depth - merges) * CV_WORDS * THREADS, THREADS, cv);
    }
}

/* The value of the block's `count` threads' values, which are in their columns of nodes. */
TEXT_INLINE void join_threads(uint32_t *nodes, unsigned count, uint32_t cv[CV_WORDS], uint32_t root)
{
    unsigned thread = threadIdx.x;

    BLOCK_BARRIER(BLAKE3_VALUES_SHOWN);
#pragma unroll 1
    for (unsigned n = count; n > 1; n = (n + 1) / 2) {
        bool joins = 2 * thread + 1 < n, carries = 2 * thread + 1 == n;

        if (joins || carries) {
            const uint32_t *column = nodes + 2 * thread + (joins ? 1 : 0);

#pragma unroll
            for (unsigned i = 0; i < CV_WORDS; i++) {
                cv[i] = column[i * THREADS];
            }
        }
        if (joins) {
            join(nodes + 2 * thread, THREADS, cv, n == 2 ? root : 0);
        }
        BLOCK_BARRIER(BLAKE3_PAIRS_TAKEN);
        if (joins || carries) {
            put(nodes + thread, THREADS, cv);
        }
        BLOCK_BARRIER(BLAKE3_PARENTS_SHOWN);
    }
}

/* What of a chunk is a thread's, and the block's. */
struct share {
    unsigned bytes, leaves;
    unsigned leaves_most; /* of any thread: the first has most */
    unsigned threads;     /* that have any */
};

template <bool FULL> TEXT_INLINE share share_of(unsigned chunk_bytes)
{
    share s = {THREAD_BYTES, THREAD_LEAVES, THREAD_LEAVES, THREADS};
    unsigned begin = threadIdx.x * THREAD_BYTES;

    if (!FULL) {
        s.bytes = chunk_bytes > begin ? chunk_bytes - begin : 0;
        s.bytes = s.bytes < THREAD_BYTES ? s.bytes : THREAD_BYTES;
        s.leaves = (s.bytes + BLAKE3_LEAF_BYTES - 1) / BLAKE3_LEAF_BYTES;
        s.leaves_most = (chunk_bytes + BLAKE3_LEAF_BYTES - 1) / BLAKE3_LEAF_BYTES;
        s.leaves_most = s.leaves_most < THREAD_LEAVES ? s.leaves_most : THREAD_LEAVES;
        s.threads = (chunk_bytes + THREAD_BYTES - 1) / THREAD_BYTES;
        if (chunk_bytes == 0) { /* an empty shard has an empty leaf */
            s.leaves = threadIdx.x == 0 ? 1 : 0;
            s.leaves_most = s.threads = 1;
        }
    }
    return s;
}

/* Compresses what the tile has of leaf `leaf`, piece `at` of it. root is BLAKE3_ROOT where the
 * leaf may be the root. */
template <bool FULL>
TEXT_INLINE void take_piece(uint32_t cv[CV_WORDS], const uint4 *tile, const share &mine,
                            unsigned leaf, unsigned at, uint64_t leaf_index, uint32_t root)
{
    unsigned leaf_begin = leaf * BLAKE3_LEAF_BYTES;
    unsigned leaf_bytes = BLAKE3_LEAF_BYTES;

    if (!FULL) {
        leaf_bytes = mine.bytes > leaf_begin ? mine.bytes - leaf_begin : 0;
        leaf_bytes = leaf_bytes < BLAKE3_LEAF_BYTES ? leaf_bytes : BLAKE3_LEAF_BYTES;
    }
#pragma unroll 1
    for (unsigned block = 0; block < PIECE_BYTES / BLAKE3_BLOCK_BYTES; block++) {
        unsigned begin = at * PIECE_BYTES + block * BLAKE3_BLOCK_BYTES;
        unsigned left = leaf_bytes - begin;
        bool first = begin == 0, last = left <= BLAKE3_BLOCK_BYTES;

        if (FULL || (leaf < mine.leaves && (begin < leaf_bytes || first))) {
            take_block(cv, tile, block, leaf_index, FULL || !last ? BLAKE3_BLOCK_BYTES : left,
                       (first ? BLAKE3_CHUNK_START : 0) | (last ? BLAKE3_CHUNK_END : 0) |
                           (last && mine.leaves == 1 ? root : 0));
        }
    }
}

/* Block i: chunk first_chunk + i at data + i MiB. FULL: each has a whole MiB; otherwise there is
 * one, of chunk_bytes. root is BLAKE3_ROOT where the shard is one chunk. */
template <bool FULL>
__global__ void __launch_bounds__(THREADS, BLOCKS_OF_64_REGISTERS)
    blake3_chunks(const uint8_t *data, unsigned chunk_bytes, uint64_t first_chunk, uint32_t root,
                  uint4 *cvs_out)
{
    SHARED(uint4, tiles, 2 * WARPS * TILE_VECTORS);
    SHARED(uint32_t, stack, STACK_DEPTH * CV_WORDS * THREADS);
    SHARED(uint32_t, nodes, CV_WORDS * THREADS);
    unsigned thread = threadIdx.x;
    const uint8_t *chunk = data + (uint64_t)blockIdx.x * CHUNK_BYTES;
    uint4 *tile = tiles + thread / WARP_LANES * TILE_VECTORS;
    uint64_t leaf_index = ((first_chunk + blockIdx.x) * THREADS + thread) * THREAD_LEAVES;
    const share mine = share_of<FULL>(chunk_bytes);
    uint32_t thread_root = mine.threads == 1 ? root : 0;
    uint32_t cv[CV_WORDS];

    fetch<FULL>(tile, chunk, chunk_bytes, 0);
    copies_commit();
#pragma unroll 1
    for (unsigned leaf = 0; leaf < mine.leaves_most; leaf++) {
        if (FULL || leaf < mine.leaves) { /* otherwise it has the value of the thread's last one */
            start(cv);
        }
#pragma unroll 1
        for (unsigned at = 0; at < LEAF_PIECES; at++) {
            unsigned piece = leaf * LEAF_PIECES + at;
            unsigned stage = piece % 2 * WARPS * TILE_VECTORS;

            if (piece + 1 < mine.leaves_most * LEAF_PIECES) {
                fetch<FULL>(tile + (WARPS * TILE_VECTORS - stage), chunk, chunk_bytes, piece + 1);
            }
            copies_commit(); /* an empty group at the end, so that one wait serves all */
            COPIES_WAIT(BLAKE3_PIECE_LANDED, 1);
            WARP_BARRIER(BLAKE3_PIECE_SHOWN);
            take_piece<FULL>(cv, tile + stage, mine, leaf, at, leaf_index + leaf, thread_root);
            WARP_BARRIER(BLAKE3_PIECE_TAKEN);
        }
        if (FULL || leaf < mine.leaves) {
            push(stack + thread, cv, leaf, mine.leaves, thread_root);
        }
    }
    if (FULL || mine.leaves > 0) {
        put(nodes + thread, THREADS, cv);
    }
    join_threads(nodes, mine.threads, cv, root);
    if (thread == 0) {
        uint4 *out = cvs_out + (uint64_t)blockIdx.x * (KERNELS_CV_BYTES / 16);

        out[0] = make_uint4(cv[0], cv[1], cv[2], cv[3]);
        out[1] = make_uint4(cv[4], cv[5], cv[6], cv[7]);
    }
}

int kernels_blake3(const void *data, uint64_t bytes, uint64_t first_chunk, uint64_t shard_bytes,
                   void *cvs_out, void *stream)
{
    uint64_t whole = bytes / CHUNK_BYTES;
    unsigned rest = bytes % CHUNK_BYTES;
    const uint8_t *begin = static_cast<const uint8_t *>(data);
    uint32_t root = shard_bytes <= CHUNK_BYTES ? BLAKE3_ROOT : 0;
    uint4 *out = static_cast<uint4 *>(cvs_out);

    if (!aligned(data) || !aligned(cvs_out) || whole > BLOCKS_MAX ||
        !chunks_of_shard(bytes, first_chunk, shard_bytes)) {
        return KERNELS_ERR_ARGUMENT;
    }
    if (whole > 0) {
        LAUNCH(blake3_chunks<true>, whole, THREADS, stream, begin, CHUNK_BYTES, first_chunk, root,
               out);
    }
    if (rest > 0 || shard_bytes == 0) {
        LAUNCH(blake3_chunks<false>, 1, THREADS, stream, begin + whole * CHUNK_BYTES, rest,
               first_chunk + whole, root, out + whole * (KERNELS_CV_BYTES / 16));
    }
    return launched();
}

int kernels_ready(void)
{
    return loadable(reinterpret_cast<const void *>(blake3_chunks<true>));
}
