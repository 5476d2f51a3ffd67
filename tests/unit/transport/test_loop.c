/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/transport/suite.h"

int main(void)
{
    return suite_run("transport loop", "loop");
}
