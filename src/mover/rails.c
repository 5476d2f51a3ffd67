/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/rails.h"

#include <pthread.h>
#include <string.h>

#include "base/log.h"

const char *rails_near(const struct rails *rails, int node)
{
    for (uint32_t i = 0; i < rails->node_count; i++) {
        if (rails->nodes[i].os_index == node && rails->nodes[i].ports[0] != '\0') {
            return rails->nodes[i].ports;
        }
    }
    return NULL;
}

void rails_bind_thread(const cpu_set_t *cpus)
{
    if (CPU_COUNT(cpus) == 0) {
        return;
    }
    int error = pthread_setaffinity_np(pthread_self(), sizeof *cpus, cpus);
    if (error != 0) {
        log_event(EVENT_thread_not_bound, "cpus=%d error=%s", CPU_COUNT(cpus),
                  LOG_QUOTED(strerror(error)));
    }
}
