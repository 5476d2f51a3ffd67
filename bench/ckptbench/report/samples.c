/* SPDX-License-Identifier: Apache-2.0 */
#include "report/samples.h"

#include <stdlib.h>
#include <string.h>

void samples_add(struct samples *samples, double value)
{
    if (samples->count < SAMPLES_MAX) {
        samples->values[samples->count++] = value;
    }
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

double samples_quantile(const struct samples *samples, double part)
{
    double sorted[SAMPLES_MAX];
    if (samples->count == 0) {
        return 0;
    }
    memcpy(sorted, samples->values, samples->count * sizeof(sorted[0]));
    qsort(sorted, samples->count, sizeof(sorted[0]), compare);
    double place = part * (double)(samples->count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < samples->count ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

double samples_median(const struct samples *samples)
{
    return samples_quantile(samples, 0.5);
}

double samples_min(const struct samples *samples)
{
    return samples_quantile(samples, 0);
}

double samples_max(const struct samples *samples)
{
    return samples_quantile(samples, 1);
}
