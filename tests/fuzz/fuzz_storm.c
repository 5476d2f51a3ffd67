/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes decide what a machine is told (tests/storm): the first one which machine, the rest each
 * choice of the storm. An assertion of the machine that fails is what is looked for. */
#include "storm/storm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EVENTS_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct words words;
    struct storm_result result;
    if (size < 2) {
        return 0;
    }
    words_of_bytes(&words, data + 1, size - 1);
    if (data[0] % 2 == 0) {
        storm_coordinator(&words, EVENTS_MAX, &result);
    } else {
        storm_agent(&words, EVENTS_MAX, &result);
    }
    return 0;
}
