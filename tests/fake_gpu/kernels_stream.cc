/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels on a CPU (tests/unit/kernels/cuda_on_cpu.h), put on the fake driver's streams. */
#include <mutex>

extern "C" bool fault_lets_run(void);
extern "C" void fault_ran(bool is_copy);
extern "C" int cuLaunchHostFunc(void *stream, void (*run)(void *), void *context);

namespace
{

struct launch {
    uint64_t blocks;
    unsigned threads;
    std::function<void()> kernel;
};

std::mutex one_at_a_time; /* fibers and shared memory are there once */
thread_local int failure;

void launch_now(void *context)
{
    launch *begun = static_cast<launch *>(context);

    if (fault_lets_run()) {
        std::lock_guard<std::mutex> guard(one_at_a_time);
        cpu_launch(begun->blocks, begun->threads, begun->kernel);
        fault_ran(false);
    }
    delete begun;
}

} // namespace

void cpu_put(void *stream, uint64_t blocks, unsigned threads, const std::function<void()> &kernel)
{
    launch *begun = new launch{blocks, threads, kernel};
    int error = cuLaunchHostFunc(stream, launch_now, begun);

    if (error != 0) {
        failure = error;
        delete begun;
    }
}

int cpu_launched()
{
    int error = failure;

    failure = 0;
    return error;
}
