/* SPDX-License-Identifier: Apache-2.0 */
/* What the library is, and what its errors mean. */
#include "kernels/launch.h"

uint32_t kernels_version(void)
{
    return KERNELS_VERSION;
}

const char *kernels_error_text(int error)
{
    if (error <= 0) {
        return error == 0 ? "no error" : "an argument that kernels.h does not allow";
    }
    return cudaGetErrorString(static_cast<cudaError_t>(error));
}
