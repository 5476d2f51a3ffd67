/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fingerprints' values of chunks: NH of each KiB, Poly1305's polynomial over the hashes
 * (src/digest/fingerprint.h says what they are), and on the way, where it is asked for, what is no
 * finite number.
 *
 * A block of 256 threads has a chunk. NH is a sum over units of 16 bytes, so a warp has a message
 * of 1 KiB: a lane the units with its own number and 32 more, for which the key's words stay in
 * registers, and reads are whole lines. The lanes' sums of two messages are added in five steps, in
 * three of which each lane gives half of what it has. The polynomial's blocks are counted from the
 * end of the chunk: thread t has the same ones, and the same power of r, whatever the length, and
 * those before the first count as zero.
 */
#include "kernels/finite.h"
#include "kernels/tensors.h"

#define THREADS 256
#define WARPS (THREADS / WARP_LANES)
#define MESSAGE_BYTES 1024
#define MESSAGES (CHUNK_BYTES / MESSAGE_BYTES)
#define UNIT_WORDS 4
#define PASSES 4
#define TOGETHER 2 /* messages of a warp */
#define SUMS (TOGETHER * PASSES)
#define ROUND_MESSAGES (WARPS * TOGETHER)
#define THREAD_MESSAGES (MESSAGES / THREADS)
#define LEVELS 8 /* of the threads' polynomials */
#define LIMBS 5
#define LIMB_MASK 0x3ffffffu

static_assert(1 << LEVELS == THREADS, "the polynomials are joined two by two");
static_assert(MESSAGE_BYTES == 2 * 16 * WARP_LANES, "a lane has two units of a message");

/* A number modulo 2^130 - 5 in limbs of 26 bits; the second may have a bit more. */
struct residue {
    uint32_t limbs[LIMBS];
};

/* The key as the kernel takes it: r, and r to the number of blocks that a thread has, 2, 4, 8 ...
 * times that: what a left half is multiplied by. */
struct key_argument {
    uint32_t words[KERNELS_KEY_WORDS];
    residue r, powers[LEVELS];
};

/* a * b + c. */
TEXT_BOTH residue multiply_add(const residue &a, const residue &b, const residue &c)
{
    uint64_t sums[LIMBS];
    residue out;

#pragma unroll
    for (unsigned i = 0; i < LIMBS; i++) {
        sums[i] = c.limbs[i];
#pragma unroll
        for (unsigned j = 0; j < LIMBS; j++) {
            /* 2^130 is 5. */
            sums[i] +=
                (uint64_t)a.limbs[j] * (j <= i ? b.limbs[i - j] : 5 * b.limbs[LIMBS + i - j]);
        }
    }
#pragma unroll
    for (unsigned i = 0; i + 1 < LIMBS; i++) {
        sums[i + 1] += sums[i] >> 26;
        out.limbs[i] = (uint32_t)sums[i] & LIMB_MASK;
    }
    out.limbs[LIMBS - 1] = (uint32_t)sums[LIMBS - 1] & LIMB_MASK;
    uint64_t first = out.limbs[0] + 5 * (sums[LIMBS - 1] >> 26);
    out.limbs[0] = (uint32_t)first & LIMB_MASK;
    out.limbs[1] += (uint32_t)(first >> 26);
    return out;
}

/* Adds the block low, high and the bit above it. */
TEXT_INLINE void add_block(residue *to, uint64_t low, uint64_t high)
{
    to->limbs[0] += (uint32_t)low & LIMB_MASK;
    to->limbs[1] += (uint32_t)(low >> 26) & LIMB_MASK;
    to->limbs[2] += (uint32_t)(low >> 52 | high << 12) & LIMB_MASK;
    to->limbs[3] += (uint32_t)(high >> 14) & LIMB_MASK;
    to->limbs[4] += (uint32_t)(high >> 40) | 1u << 24;
}

/* The value: the number below 2^130 - 5 that it is, and of that the lowest 128 bits. */
TEXT_INLINE uint4 value_of(residue a)
{
    residue plus;

#pragma unroll
    for (unsigned round = 0; round < 2; round++) {
#pragma unroll
        for (unsigned i = 0; i < LIMBS; i++) {
            uint32_t above = a.limbs[i] >> 26;

            a.limbs[i] &= LIMB_MASK;
            a.limbs[(i + 1) % LIMBS] += i + 1 == LIMBS ? 5 * above : above;
        }
    }
    /* Less 2^130 - 5 when that is not below zero: plus 5 has a bit above its top then. */
    uint32_t carry = 5;
#pragma unroll
    for (unsigned i = 0; i < LIMBS; i++) {
        plus.limbs[i] = a.limbs[i] + carry;
        carry = plus.limbs[i] >> 26;
        plus.limbs[i] &= LIMB_MASK;
    }
#pragma unroll
    for (unsigned i = 0; i < LIMBS; i++) {
        a.limbs[i] = carry != 0 ? plus.limbs[i] : a.limbs[i];
    }
    return make_uint4(a.limbs[0] | a.limbs[1] << 26, a.limbs[1] >> 6 | a.limbs[2] << 20,
                      a.limbs[2] >> 12 | a.limbs[3] << 14, a.limbs[3] >> 18 | a.limbs[4] << 8);
}

/* The words of the key for a lane's two units: of each, those of four passes. */
struct lane_key {
    uint32_t words[2][PASSES][UNIT_WORDS];
};

/* Adds what a unit gives in each pass. The key's words are in the order 0 2 1 3. */
TEXT_INLINE void hash_unit(uint64_t sums[PASSES], const uint32_t key[PASSES][UNIT_WORDS], uint4 m)
{
#pragma unroll
    for (unsigned pass = 0; pass < PASSES; pass++) {
        const uint32_t *k = key[pass];

        sums[pass] += (uint64_t)(m.x + k[0]) * (m.z + k[1]);
        sums[pass] += (uint64_t)(m.y + k[2]) * (m.w + k[3]);
    }
}

/* The unit at `at` of `bytes` bytes; what is not there counts as zero. */
template <bool FULL> TEXT_INLINE uint4 unit_at(const uint8_t *chunk, unsigned at, unsigned bytes)
{
    uint32_t words[UNIT_WORDS] = {0, 0, 0, 0};

    if (FULL || at + 16 <= bytes) {
        return load16_once(chunk + at);
    }
    if constexpr (!FULL) {
#pragma unroll
        for (unsigned i = 0; i < 16; i++) {
            if (at + i < bytes) {
                words[i / 4] |= (uint32_t)chunk[at + i] << i % 4 * 8;
            }
        }
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
}

/* Adds the lanes' sums: afterwards lane l has, in the first, sum l / 4 of all lanes. */
TEXT_INLINE void add_lanes(uint64_t sums[SUMS])
{
    unsigned lane = threadIdx.x % WARP_LANES;

#pragma unroll
    for (unsigned half = SUMS / 2, bit = WARP_LANES / 2; half > 0; half /= 2, bit /= 2) {
        bool upper = (lane & bit) != 0;

#pragma unroll
        for (unsigned i = 0; i < half; i++) {
            uint64_t given = upper ? sums[i] : sums[i + half];
            uint64_t kept = upper ? sums[i + half] : sums[i];

            sums[i] = kept + shuffle_xor(given, bit);
        }
    }
    sums[0] += shuffle_xor(sums[0], 2);
    sums[0] += shuffle_xor(sums[0], 1);
}

/* What the caller wants counted, and the place behind the last byte that may be read. */
struct scan_argument {
    kernels_scan scan;
    uint64_t end;
};

/* Counts in the unit at `place` of the shard, whose bytes are at `unit`; `end` is the place behind
 * what may be read. Of elements that lie across units, it has those that begin here. */
TEXT_INLINE void scan_slowly(tally *t, const kernels_scan &scan, const uint8_t *unit,
                             uint64_t place, uint64_t end)
{
    uint64_t last = place + 16 < end ? place + 16 : end;

#pragma unroll 1
    for (uint64_t i = first_after(scan.tensors, scan.count, place);
         i < scan.count && scan.tensors[i].place < last; i++) {
        const kernels_tensor tensor = scan.tensors[i];
        const number_kind kind = number_kind_of(tensor.dtype);
        unsigned size = kind.bits / 8;
        uint64_t before = place > tensor.place ? place - tensor.place : 0;

        if (size == 0) {
            continue;
        }
        tally_turn(t, i);
#pragma unroll 1
        for (uint64_t at = (before + size - 1) / size * size;
             at + size <= tensor.bytes && tensor.place + at < last &&
             tensor.place + at + size <= end;
             at += size) {
            count_element(t, kind, element_at(unit + (tensor.place + at - place), kind.bits));
        }
    }
}

/* Counts in the message at `place`, of which units are this lane's two. The tensor met last is
 * tried first: most messages lie in the middle of one. */
TEXT_INLINE void scan_message(tally *t, const kernels_scan &scan, const uint8_t *message,
                              uint64_t place, uint64_t end, const uint4 units[2])
{
    unsigned lane = threadIdx.x % WARP_LANES;
    uint64_t i = t->tensor;

    if (i >= scan.count || scan.tensors[i].place > place ||
        scan.tensors[i].place + scan.tensors[i].bytes <= place) {
        i = first_after(scan.tensors, scan.count, place);
    }
    if (i < scan.count) {
        const kernels_tensor tensor = scan.tensors[i];
        const number_kind kind = number_kind_of(tensor.dtype);

        if (tensor.place <= place && place + MESSAGE_BYTES <= tensor.place + tensor.bytes &&
            place + MESSAGE_BYTES <= end && (place - tensor.place) % 8 == 0) {
            tally_turn(t, i);
            if (kind.bits != 0) {
                count_vector(t, kind, units[0]);
                count_vector(t, kind, units[1]);
            }
            return;
        }
        scan_slowly(t, scan, message + lane * 16, place + lane * 16, end);
        scan_slowly(t, scan, message + (WARP_LANES + lane) * 16, place + (WARP_LANES + lane) * 16,
                    end);
    }
}

/* The hashes of a chunk's messages, to their places from the end on. */
template <bool FULL, bool SCAN>
TEXT_INLINE void hash_messages(uint64_t *hashes, const uint8_t *chunk, unsigned chunk_bytes,
                               const lane_key &key, const scan_argument &wanted, uint64_t place)
{
    unsigned lane = threadIdx.x % WARP_LANES, warp = threadIdx.x / WARP_LANES;
    unsigned messages = FULL ? MESSAGES : (chunk_bytes + MESSAGE_BYTES - 1) / MESSAGE_BYTES;
    tally t = {wanted.scan.counts, 0, 0, 0};

#pragma unroll 1
    for (unsigned round = 0; round < messages; round += ROUND_MESSAGES) {
        unsigned first = round + warp * TOGETHER;
        uint64_t sums[SUMS] = {0, 0, 0, 0, 0, 0, 0, 0};
        uint4 units[TOGETHER][2];

#pragma unroll
        for (unsigned i = 0; i < TOGETHER; i++) {
            unsigned at = (first + i) * MESSAGE_BYTES + lane * 16;

            units[i][0] = unit_at<FULL>(chunk, at, chunk_bytes);
            units[i][1] = unit_at<FULL>(chunk, at + WARP_LANES * 16, chunk_bytes);
        }
#pragma unroll
        for (unsigned i = 0; i < TOGETHER; i++) {
            unsigned at = (first + i) * MESSAGE_BYTES;

            /* Units that are not there give nothing, as they would not with zeros for words. */
            if (FULL || at + lane * 16 < chunk_bytes) {
                hash_unit(sums + i * PASSES, key.words[0], units[i][0]);
            }
            if (FULL || at + (WARP_LANES + lane) * 16 < chunk_bytes) {
                hash_unit(sums + i * PASSES, key.words[1], units[i][1]);
            }
            if (SCAN && (FULL || at < chunk_bytes)) {
                scan_message(&t, wanted.scan, chunk + at, place + at, wanted.end, units[i]);
            }
        }
        add_lanes(sums);
        if (lane % PASSES == 0 && (FULL || first + lane / 16 < messages)) {
            unsigned slot = MESSAGES - messages + first + lane / 16;

            hashes[slot * PASSES + lane / 4 % PASSES] = sums[0];
        }
    }
    if (SCAN) {
        tally_add(&t);
    }
}

/* This thread's part of the polynomial. */
template <bool FULL>
TEXT_INLINE residue sum_hashes(const uint64_t *hashes, unsigned chunk_bytes, const residue &r)
{
    unsigned messages = FULL ? MESSAGES : (chunk_bytes + MESSAGE_BYTES - 1) / MESSAGE_BYTES;
    const residue zero = {{0, 0, 0, 0, 0}};
    residue sum = zero;

#pragma unroll 1
    for (unsigned slot = threadIdx.x * THREAD_MESSAGES; slot < (threadIdx.x + 1) * THREAD_MESSAGES;
         slot++) {
        if (FULL || slot >= MESSAGES - messages) {
            add_block(&sum, hashes[slot * PASSES], hashes[slot * PASSES + 1]);
            sum = multiply_add(sum, r, zero);
            add_block(&sum, hashes[slot * PASSES + 2], hashes[slot * PASSES + 3]);
            sum = multiply_add(sum, r, zero);
        }
    }
    return sum;
}

TEXT_INLINE void put(uint32_t *nodes, unsigned at, const residue &value)
{
#pragma unroll
    for (unsigned i = 0; i < LIMBS; i++) {
        nodes[i * THREADS + at] = value.limbs[i];
    }
}

TEXT_INLINE residue get(const uint32_t *nodes, unsigned at)
{
    residue value;

#pragma unroll
    for (unsigned i = 0; i < LIMBS; i++) {
        value.limbs[i] = nodes[i * THREADS + at];
    }
    return value;
}

/* Block i: the chunk at data + i MiB. FULL: each has a whole MiB; otherwise there is one, of
 * chunk_bytes. scan.place is the first one's. */
template <bool FULL, bool SCAN>
__global__ void __launch_bounds__(THREADS, SCAN ? 2 : 3)
    fingerprint_chunks(const __grid_constant__ key_argument key, const uint8_t *data,
                       unsigned chunk_bytes, const __grid_constant__ scan_argument wanted,
                       uint4 *values_out)
{
    SHARED(uint32_t, key_words, KERNELS_KEY_WORDS);
    SHARED(uint64_t, hashes, MESSAGES * PASSES);
    SHARED(uint32_t, nodes, LIMBS * THREADS);
    unsigned thread = threadIdx.x, lane = thread % WARP_LANES;
    uint64_t begin = (uint64_t)blockIdx.x * CHUNK_BYTES;
    lane_key mine;

    for (unsigned i = thread; i < KERNELS_KEY_WORDS; i += THREADS) {
        key_words[i] = key.words[i];
    }
    BLOCK_BARRIER(FINGERPRINT_KEY_SHOWN);
#pragma unroll
    for (unsigned i = 0; i < 2 * PASSES * UNIT_WORDS; i++) {
        unsigned half = i / (PASSES * UNIT_WORDS), at = i % (PASSES * UNIT_WORDS);

        mine.words[half][at / UNIT_WORDS][at % UNIT_WORDS] =
            key_words[(half * WARP_LANES + lane) * UNIT_WORDS + at];
    }
    hash_messages<FULL, SCAN>(hashes, data + begin, chunk_bytes, mine, wanted,
                              wanted.scan.place + begin);
    BLOCK_BARRIER(FINGERPRINT_HASHES_SHOWN);
    residue sum = sum_hashes<FULL>(hashes, chunk_bytes, key.r);
    put(nodes, thread, sum);
#pragma unroll 1
    for (unsigned level = 0; level < LEVELS; level++) {
        unsigned at = thread << (level + 1), right = at + (1u << level);

        BLOCK_BARRIER(FINGERPRINT_SUMS_SHOWN);
        if (right < THREADS) {
            sum = multiply_add(get(nodes, at), key.powers[level], get(nodes, right));
            put(nodes, at, sum);
        }
    }
    if (thread == 0) {
        values_out[blockIdx.x] = value_of(sum);
    }
}

static void make_key(const kernels_key *key, key_argument *argument)
{
    const uint64_t low = key->r[0] | key->r[1] << 44, high = key->r[1] >> 20 | key->r[2] << 24;
    const residue zero = {{0, 0, 0, 0, 0}};
    residue power;

    for (unsigned i = 0; i < KERNELS_KEY_WORDS; i++) {
        argument->words[i] = key->words[i];
    }
    argument->r = {{(uint32_t)low & LIMB_MASK, (uint32_t)(low >> 26) & LIMB_MASK,
                    (uint32_t)(low >> 52 | high << 12) & LIMB_MASK,
                    (uint32_t)(high >> 14) & LIMB_MASK, (uint32_t)(high >> 40)}};
    power = argument->r;
    for (unsigned blocks = 1; blocks < 2 * THREAD_MESSAGES; blocks *= 2) {
        power = multiply_add(power, power, zero);
    }
    for (unsigned level = 0; level < LEVELS; level++) {
        argument->powers[level] = power;
        power = multiply_add(power, power, zero);
    }
}

template <bool SCAN>
static void launch(const key_argument &key, const uint8_t *data, uint64_t bytes, uint4 *values_out,
                   const kernels_scan &scan, void *stream)
{
    uint64_t whole = bytes / CHUNK_BYTES;
    unsigned rest = bytes % CHUNK_BYTES;
    scan_argument wanted = {scan, scan.place + bytes};

    if (whole > 0) {
        LAUNCH((fingerprint_chunks<true, SCAN>), whole, THREADS, stream, key, data, CHUNK_BYTES,
               wanted, values_out);
    }
    if (rest > 0 || bytes == 0) {
        wanted.scan.place += whole * CHUNK_BYTES;
        LAUNCH((fingerprint_chunks<false, SCAN>), 1, THREADS, stream, key,
               data + whole * CHUNK_BYTES, rest, wanted, values_out + whole);
    }
}

int kernels_fingerprint(const struct kernels_key *key, const void *data, uint64_t bytes,
                        void *values_out, const struct kernels_scan *scan, void *stream)
{
    const uint8_t *begin = static_cast<const uint8_t *>(data);
    uint4 *out = static_cast<uint4 *>(values_out);
    key_argument argument;

    if (!aligned(data) || !aligned(values_out) || bytes / CHUNK_BYTES > BLOCKS_MAX) {
        return KERNELS_ERR_ARGUMENT;
    }
    make_key(key, &argument);
    if (scan != nullptr) {
        launch<true>(argument, begin, bytes, out, *scan, stream);
    } else {
        launch<false>(argument, begin, bytes, out, {}, stream);
    }
    return launched();
}
