/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLASS_VGA = 0x0300, CLASS_ACCELERATOR = 0x1200 };
enum { VENDOR_AMD = 0x1002, VENDOR_NVIDIA = 0x10de };

bool topology_device_is_gpu(const struct topology_place *place, bool is_compute)
{
    bool is_display = place->class_id >> 8 == 0x03;
    if (is_compute) {
        return true;
    }
    if (place->vendor_id == VENDOR_NVIDIA) {
        return is_display;
    }
    return place->vendor_id == VENDOR_AMD &&
           ((is_display && place->class_id != CLASS_VGA) || place->class_id == CLASS_ACCELERATOR);
}

bool topology_device_is_compute(const char *name, const char *subtype)
{
    static const struct {
        const char *subtype;
        const char *prefix; /* of names in recordings that have no subtypes */
    } kinds[] = {{"CUDA", "cuda"},
                 {"NVML", "nvml"},
                 {"OpenCL", "opencl"},
                 {"RSMI", "rsmi"},
                 {"LevelZero", "ze"}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t length = strlen(kinds[i].prefix);
        if ((subtype && strcmp(subtype, kinds[i].subtype) == 0) ||
            (name && strncmp(name, kinds[i].prefix, length) == 0 && name[length] >= '0' &&
             name[length] <= '9')) {
            return true;
        }
    }
    return false;
}

bool topology_device_is_virtual_function(const struct topology_place *place, const char *name)
{
    static const struct {
        uint16_t vendor_id;
        uint16_t device_id;
    } known[] = {
        /* ConnectX-3 to ConnectX-6, "mlx5Gen" for all later ones, BlueField */
        {0x15b3, 0x1004},
        {0x15b3, 0x1012},
        {0x15b3, 0x1014},
        {0x15b3, 0x1016},
        {0x15b3, 0x1018},
        {0x15b3, 0x101a},
        {0x15b3, 0x101c},
        {0x15b3, 0x101e},
        {0x15b3, 0xa2d3},
        /* Intel: X722, adaptive (E810) */
        {0x8086, 0x37cd},
        {0x8086, 0x1889},
        /* Broadcom NetXtreme-E, and its P5 and P7 */
        {0x14e4, 0x16dc},
        {0x14e4, 0x1806},
        {0x14e4, 0x1807},
        {0x14e4, 0x1819},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (place->vendor_id == known[i].vendor_id && place->device_id == known[i].device_id) {
            return true;
        }
    }
    return name && strstr(name, "Virtual Function");
}

bool topology_device_has_physfn(const struct topology_place *place)
{
    char path[96];
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn",
             topology_place_busid(place).text);
    return access(path, F_OK) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int topology_device_compare_names(const char *left, const char *right)
{
    const char *l = left;
    const char *r = right;
    while (*l && *r) {
        if (is_digit(*l) && is_digit(*r)) {
            char *l_end;
            char *r_end;
            unsigned long long a = strtoull(l, &l_end, 10);
            unsigned long long b = strtoull(r, &r_end, 10);
            if (a != b) {
                return a < b ? -1 : 1;
            }
            l = l_end;
            r = r_end;
        } else if (*l != *r) {
            return (unsigned char)*l < (unsigned char)*r ? -1 : 1;
        } else {
            l++;
            r++;
        }
    }
    if (*l || *r) {
        return *l ? 1 : -1;
    }
    return strcmp(left, right); /* only zeroes before numbers differ */
}
