/* SPDX-License-Identifier: Apache-2.0 */
/* The tests that every transport passes. Two transports are opened in one process by the given
 * specs; one thread drives both. */
#ifndef TESTS_UNIT_TRANSPORT_SUITE_H
#define TESTS_UNIT_TRANSPORT_SUITE_H

#include <stdbool.h>

/* Runs the suite; returns cmocka's number of failures. */
int suite_run(const char *name, const char *spec);

#endif
