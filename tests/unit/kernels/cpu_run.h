/* SPDX-License-Identifier: Apache-2.0 */
/* How the kernels run on a CPU (cuda_on_cpu.h), for tests in C. By one thread. */
#ifndef CKPT_TESTS_CPU_RUN_H
#define CKPT_TESTS_CPU_RUN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cpu_order {
    CPU_UPWARD,   /* thread 0 first and as far as it gets; copies land when they are waited for */
    CPU_DOWNWARD, /* the last one first; copies land at once */
    CPU_SHUFFLED, /* by chance, both */
    CPU_ORDERS
};

/* For the launches that follow: the order, and a barrier or wait that is left out, or 0. The seed
 * is of CPU_SHUFFLED. Forgets the fault. */
void cpu_run_set(enum cpu_order order, uint32_t seed, int left_out);

/* What was wrong with a launch since then, the first one; NULL: nothing. */
const char *cpu_run_fault(void);

/* How many barriers and waits the text has, and the name of one, 1 and more. */
int cpu_barriers(void);
const char *cpu_barrier_name(int barrier);

/* How often a thread came past it since the start. */
uint64_t cpu_barrier_passed(int barrier);

#ifdef __cplusplus
}
#endif

#endif
