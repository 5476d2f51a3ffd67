/* SPDX-License-Identifier: Apache-2.0 */
/* The tests that every transport passes. Two transports are opened in one process by the given
 * specs; one thread drives both. */
#ifndef TESTS_UNIT_TRANSPORT_SUITE_H
#define TESTS_UNIT_TRANSPORT_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* The devices that a test opens: CKPT_SUITE_DEVICES, all of them where that is empty, else "lo". */
static inline const char *suite_devices(void)
{
    const char *devices = getenv("CKPT_SUITE_DEVICES");

    if (devices == NULL) {
        return "lo";
    }
    return devices[0] != '\0' ? devices : NULL;
}

/* Runs the suite; returns cmocka's number of failures. */
int suite_run(const char *name, const char *spec);

#endif
