/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda_text.h"

#include <assert.h>
#include <ucontext.h>

#include <memory>
#include <vector>

#include "kernels/kernels.h"
#include "unit/kernels/cpu_run.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES (64u << 10)
#define THREADS_MAX 1024
#define POISON_SHARED 0xa5
#define POISON_COPY 0x5a
#define EXCHANGE BARRIER_END /* a barrier that is not in the text */

cpu_place threadIdx, blockIdx, blockDim, gridDim;

namespace
{

enum state { READY, AT_WARP, AT_BLOCK, ENDED };

struct copy {
    uint8_t *target;
    const uint8_t *source;
    unsigned bytes;
    unsigned group;
};

struct fiber {
    ucontext_t context;
    std::unique_ptr<uint8_t[]> stack{new uint8_t[STACK_BYTES]};
    void *fake_stack = nullptr; /* AddressSanitizer's */
    state at = ENDED;
    int barrier = 0;
    std::vector<copy> copies;
    unsigned group = 0; /* that is being filled */
    uint64_t given = 0; /* to the other lanes */
    uint64_t got[WARP_LANES] = {};
};

struct shared_array {
    const char *name;
    size_t bytes;
    std::unique_ptr<uint8_t[]> room;
    uint8_t *begin;
};

cpu_order order;
int left_out;
uint32_t chance;
const char *fault;
uint64_t passed[BARRIER_END];

std::vector<std::unique_ptr<fiber>> fibers;
std::vector<shared_array> arrays;
ucontext_t scheduler;
void *scheduler_fake;
const std::function<void()> *running;
unsigned current, thread_count;

void say(const char *what)
{
    if (fault == nullptr) {
        fault = what;
    }
}

uint32_t draw(uint32_t below)
{
    chance ^= chance << 13, chance ^= chance >> 17, chance ^= chance << 5;
    return chance % below;
}

void land(const copy &c)
{
    memcpy(c.target, c.source, c.bytes);
    memset(c.target + c.bytes, 0, 16 - c.bytes);
}

#if defined(__SANITIZE_ADDRESS__)
/* AddressSanitizer is told which stack is in use. */
const void *scheduler_stack;
size_t scheduler_stack_bytes;

void leave(void **fake_stack_out, const void *stack, size_t bytes)
{
    __sanitizer_start_switch_fiber(fake_stack_out, stack, bytes);
}

void arrive(void *fake_stack, bool on_fiber)
{
    __sanitizer_finish_switch_fiber(fake_stack, on_fiber ? &scheduler_stack : nullptr,
                                    on_fiber ? &scheduler_stack_bytes : nullptr);
}
#else
const void *const scheduler_stack = nullptr;
const size_t scheduler_stack_bytes = 0;

void leave(void **, const void *, size_t)
{
}

void arrive(void *, bool)
{
}
#endif

void to_scheduler(fiber &me)
{
    leave(me.at == ENDED ? nullptr : &me.fake_stack, scheduler_stack, scheduler_stack_bytes);
    swapcontext(&me.context, &scheduler);
    arrive(me.fake_stack, true);
}

void fiber_main()
{
    arrive(nullptr, true);
    fiber &me = *fibers[current];

    (*running)();
    if (!me.copies.empty()) {
        say("a thread ended with copies that it had not waited for");
    }
    me.at = ENDED;
    to_scheduler(me);
}

void run(unsigned thread)
{
    fiber &next = *fibers[thread];

    current = thread;
    threadIdx.x = thread;
    leave(&scheduler_fake, next.stack.get(), STACK_BYTES);
    swapcontext(&scheduler, &next.context);
    arrive(scheduler_fake, false);
}

void stop_at(state where, int barrier)
{
    fiber &me = *fibers[current];

    me.at = where;
    me.barrier = barrier;
    to_scheduler(me);
}

/* Lets threads begin to end - 1 go on when all of them stand at one barrier of that kind. */
bool release(unsigned begin, unsigned end, state where)
{
    for (unsigned i = begin; i < end; i++) {
        if (fibers[i]->at != where) {
            return false;
        }
        if (fibers[i]->barrier != fibers[begin]->barrier) {
            say("threads stand at different barriers");
            return false;
        }
    }
    for (unsigned i = begin; i < end; i++) {
        fibers[i]->at = READY;
    }
    return true;
}

/* One turn of a warp's threads: each that is ready runs until it stops. */
bool turn(unsigned warp)
{
    unsigned begin = warp * WARP_LANES;
    unsigned lanes = thread_count - begin < WARP_LANES ? thread_count - begin : WARP_LANES;
    unsigned first = order == CPU_SHUFFLED ? draw(lanes) : 0;
    unsigned odd = order == CPU_SHUFFLED ? 2 * draw(lanes / 2) + 1 : 1;
    bool moved = false;

    for (unsigned i = 0; i < lanes; i++) {
        unsigned lane = order == CPU_DOWNWARD ? lanes - 1 - i : (first + i * odd) % lanes;

        if (fibers[begin + lane]->at == READY) {
            run(begin + lane);
            moved = true;
        }
    }
    return release(begin, begin + lanes, AT_WARP) || moved;
}

bool all_ended()
{
    for (unsigned i = 0; i < thread_count; i++) {
        if (fibers[i]->at != ENDED) {
            return false;
        }
    }
    return true;
}

void run_block()
{
    unsigned warps = (thread_count + WARP_LANES - 1) / WARP_LANES;

    while (!all_ended()) {
        bool moved = false;

        for (unsigned i = 0; i < warps; i++) {
            unsigned warp = order == CPU_DOWNWARD ? warps - 1 - i : i;

            if (order == CPU_SHUFFLED) {
                moved |= turn(draw(warps)); /* and those that are not drawn wait */
                moved |= i + 1 == warps && turn(draw(warps));
            } else {
                while (turn(warp)) { /* as far as it gets */
                    moved = true;
                }
            }
        }
        moved |= release(0, thread_count, AT_BLOCK);
        if (!moved && order == CPU_SHUFFLED) {
            for (unsigned i = 0; i < warps; i++) {
                moved |= turn(i);
            }
        }
        if (!moved || fault != nullptr) {
            say("a block cannot go on: threads wait for what others have passed or left out");
            return; /* the fibers are made anew */
        }
    }
}

void make_ready(unsigned thread)
{
    fiber &made = *fibers[thread];

    getcontext(&made.context);
    made.context.uc_stack.ss_sp = made.stack.get();
    made.context.uc_stack.ss_size = STACK_BYTES;
    made.context.uc_link = nullptr;
    makecontext(&made.context, fiber_main, 0);
    made.at = READY;
    made.copies.clear();
    made.group = 0;
}

} // namespace

void cpu_launch(uint64_t blocks, unsigned threads, const std::function<void()> &kernel)
{
    assert(threads > 0 && threads <= THREADS_MAX && threads % WARP_LANES == 0);
    while (fibers.size() < threads) {
        fibers.emplace_back(new fiber);
    }
    running = &kernel;
    thread_count = threads;
    gridDim.x = static_cast<unsigned>(blocks);
    blockDim.x = threads;
    for (uint64_t i = 0; i < blocks && fault == nullptr; i++) {
        blockIdx.x = static_cast<unsigned>(order == CPU_DOWNWARD ? blocks - 1 - i : i);
        arrays.clear();
        for (unsigned thread = 0; thread < threads; thread++) {
            make_ready(thread);
        }
        run_block();
    }
    arrays.clear();
}

__attribute__((weak)) void cpu_put(void *, uint64_t blocks, unsigned threads,
                                   const std::function<void()> &kernel)
{
    cpu_launch(blocks, threads, kernel);
}

__attribute__((weak)) int cpu_launched()
{
    return 0;
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == 35 ? "CUDA driver version is insufficient" : "an error of CUDA";
}

/* Each array has a block of the heap to itself, so that AddressSanitizer sees its ends. */
void *cpu_shared(const char *name, size_t bytes)
{
    for (const shared_array &array : arrays) {
        if (strcmp(array.name, name) == 0) {
            assert(array.bytes == bytes);
            return array.begin;
        }
    }
    shared_array array{name, bytes, nullptr, nullptr};
    array.room.reset(new uint8_t[bytes + 16]);
    array.begin = array.room.get();
    array.begin += -reinterpret_cast<uintptr_t>(array.begin) % 16;
    memset(array.begin, POISON_SHARED, bytes);
    arrays.push_back(std::move(array));
    return arrays.back().begin;
}

void cpu_block_barrier(int name)
{
    passed[name]++;
    if (name != left_out) {
        stop_at(AT_BLOCK, name);
    }
}

void cpu_warp_barrier(int name)
{
    passed[name]++;
    if (name != left_out) {
        stop_at(AT_WARP, name);
    }
}

void cpu_copy(void *target, const void *source, unsigned bytes)
{
    fiber &me = *fibers[current];
    copy begun{static_cast<uint8_t *>(target), static_cast<const uint8_t *>(source), bytes,
               me.group};

    assert(reinterpret_cast<uintptr_t>(target) % 16 == 0 && bytes <= 16);
    assert(reinterpret_cast<uintptr_t>(source) % 16 == 0);
    if (order == CPU_DOWNWARD || (order == CPU_SHUFFLED && draw(2) == 0)) {
        land(begun);
        begun.bytes = 0;
        begun.source = begun.target = nullptr; /* still to be waited for */
    } else {
        memset(target, POISON_COPY, 16);
    }
    me.copies.push_back(begun);
}

uint4 cpu_load16(const void *source)
{
    uint4 words;

    assert(reinterpret_cast<uintptr_t>(source) % 16 == 0);
    memcpy(&words, source, sizeof(words));
    return words;
}

void cpu_store16(void *target, uint4 words)
{
    assert(reinterpret_cast<uintptr_t>(target) % 16 == 0);
    memcpy(target, &words, sizeof(words));
}

/* All have given before any gets, and all have got before any gives again. */
const uint64_t *cpu_exchange(uint64_t given)
{
    fiber &me = *fibers[current];
    unsigned begin = current - current % WARP_LANES;

    me.given = given;
    stop_at(AT_WARP, EXCHANGE);
    for (unsigned i = 0; i < WARP_LANES; i++) {
        me.got[i] = fibers[begin + i]->given;
    }
    stop_at(AT_WARP, EXCHANGE + 1);
    return me.got;
}

void cpu_copies_commit()
{
    fibers[current]->group++;
}

void cpu_copies_wait(int name, unsigned left)
{
    fiber &me = *fibers[current];
    size_t kept = 0;

    passed[name]++;
    if (name == left_out) {
        return;
    }
    for (const copy &c : me.copies) {
        if (c.group + left >= me.group) {
            me.copies[kept++] = c;
        } else if (c.target != nullptr) {
            land(c);
        }
    }
    me.copies.resize(kept);
}

void cpu_run_set(cpu_order order_to_be, uint32_t seed, int left_out_to_be)
{
    order = order_to_be;
    chance = seed * 2654435761u | 1;
    left_out = left_out_to_be;
    fault = nullptr;
}

const char *cpu_run_fault(void)
{
    return fault;
}

int cpu_barriers(void)
{
    return BARRIER_END - 1;
}

const char *cpu_barrier_name(int barrier)
{
    static const char *const names[] = {"",
#define BARRIER_TEXT(name) #name,
                                        BARRIER_TABLE(BARRIER_TEXT)
#undef BARRIER_TEXT
    };

    return names[barrier];
}

uint64_t cpu_barrier_passed(int barrier)
{
    return passed[barrier];
}
