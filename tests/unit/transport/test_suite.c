/* SPDX-License-Identifier: Apache-2.0 */
/* SUITE_SPEC is the transport to test, given by tests.cmake. */
#include "unit/transport/suite.h"

int main(void)
{
    return suite_run(SUITE_SPEC, SUITE_SPEC);
}
