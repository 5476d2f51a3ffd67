/* SPDX-License-Identifier: Apache-2.0 */
/* Serves one JAX job after another in a folder: carries out its order, gives it its newest
 * consistent step, and saves each step that it writes. */
#ifndef CKPT_REPLICATOR_SERVE_H
#define CKPT_REPLICATOR_SERVE_H

#include <stdint.h>

/* Serves the folder behind the descriptor through the agent at the socket (NULL: libckpt's
 * default), until the process is ended: what was saved is the agent's. Returns only when the folder
 * cannot be watched; then the error was logged. One thread; blocks. */
void serve(int folder, const char *path, const char *socket);

#endif
