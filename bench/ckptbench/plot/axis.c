/* SPDX-License-Identifier: Apache-2.0 */
#include "plot/axis.h"

#include <math.h>
#include <stdio.h>

#define LINEAR_TICKS 5 /* about */

static void add_tick(struct axis *axis, double value)
{
    if (axis->tick_count < AXIS_TICKS_MAX) {
        axis->ticks[axis->tick_count++] = value;
    }
}

/* 1, 2 or 5 times a power of ten: the nearest above. */
static double nice_above(double value)
{
    double power = pow(10, floor(log10(value)));
    double part = value / power;
    double nice = part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10;
    return nice * power;
}

static double nice_below(double value)
{
    double power = pow(10, floor(log10(value)));
    double part = value / power;
    return (part >= 5 ? 5 : part >= 2 ? 2 : 1) * power;
}

static void fit_linear(struct axis *axis, double greatest)
{
    double step = nice_above(greatest / LINEAR_TICKS);
    int steps = (int)ceil(greatest / step - 1e-9);
    axis->least = 0;
    axis->greatest = steps * step;
    for (int i = 0; i <= steps; i++) {
        add_tick(axis, i * step);
    }
}

static void fit_log(struct axis *axis, double least, double greatest)
{
    static const double parts[] = {1, 2, 5};
    axis->least = nice_below(least);
    axis->greatest = nice_above(greatest);
    if (axis->greatest <= axis->least) {
        axis->greatest = nice_above(axis->least * 1.5);
    }
    bool wide = log10(axis->greatest / axis->least) > 3;
    int first = (int)floor(log10(axis->least) + 1e-9);
    int last = (int)floor(log10(axis->greatest) + 1e-9);
    for (int power = first; power <= last; power++) {
        for (size_t i = 0; i < (wide ? 1 : sizeof(parts) / sizeof(parts[0])); i++) {
            double value = pow(10, power) * parts[i];
            if (value >= axis->least * 0.999 && value <= axis->greatest * 1.001) {
                add_tick(axis, value);
            }
        }
    }
}

static void fit_doubling(struct axis *axis, double least, double greatest)
{
    int first = (int)floor(log2(least) + 1e-9);
    int last = (int)ceil(log2(greatest) - 1e-9);
    last = last > first ? last : first + 1;
    int step = last - first > 12 ? 4 : last - first > 6 ? 2 : 1;
    axis->least = exp2(first - 0.4);
    axis->greatest = exp2(last + 0.4);
    for (int i = first; i <= last; i += step) {
        add_tick(axis, exp2(i));
    }
}

void axis_fit(struct axis *axis, enum axis_scale scale, double least, double greatest)
{
    *axis = (struct axis){.scale = scale};
    greatest = isfinite(greatest) && greatest > 0 ? greatest : 1;
    least = isfinite(least) && least > 0 && least <= greatest ? least : greatest;
    switch (scale) {
    case AXIS_LINEAR:
        fit_linear(axis, greatest);
        break;
    case AXIS_LOG:
        fit_log(axis, least, greatest);
        break;
    case AXIS_BYTES:
    case AXIS_COUNT:
        fit_doubling(axis, least, greatest);
        break;
    }
}

double axis_place(const struct axis *axis, double value)
{
    if (axis->scale == AXIS_LINEAR) {
        return (value - axis->least) / (axis->greatest - axis->least);
    }
    value = value > axis->least ? value : axis->least;
    return log(value / axis->least) / log(axis->greatest / axis->least);
}

void axis_label(const struct axis *axis, double tick, char *text_out, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    if (axis->scale != AXIS_BYTES) {
        snprintf(text_out, size, "%.7g", tick);
        return;
    }
    while (tick >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        tick /= 1024;
        unit++;
    }
    snprintf(text_out, size, "%.4g %s", tick, units[unit]);
}
