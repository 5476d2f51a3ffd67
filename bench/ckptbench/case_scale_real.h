/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench scale --real. */
#ifndef CKPTBENCH_CASE_SCALE_REAL_H
#define CKPTBENCH_CASE_SCALE_REAL_H

#include "case.h"

enum bench_exit case_scale_real(int argc, char **argv);

#endif
