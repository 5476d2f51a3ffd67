#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hwloc 2.9.0 of Debian 12 (libhwloc15, libhwloc-plugins 2.9.0-1 by apt-get download). Needs
# libhwloc-dev, pci.ids and a C compiler, and a machine that has a PCI bus.
#
# Where libhwloc-plugins is installed, as it is by default and with Slurm's and Open MPI's packages,
# a process that loads a topology with I/O devices loses memory with each load: 0.4 MB, most of it
# the names of pci.ids, with six devices. hwloc unloads its plugin for PCI with the last topology,
# and with it libpciaccess, which keeps those names in static variables for the next time; loaded
# anew, it has forgotten them and reads the file again. A process that asks for the topology now
# and then should keep one topology, or libpciaccess.so.0 (RTLD_NODELETE): then it is read once.
# Leak checkers name neither: the module is gone. Without pci.ids 1 KB is lost (2.12.0 of Debian
# 13).
#
# Source: hwloc/topology-pci.c; libpciaccess, src/common_device_name.c.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get download -q libhwloc-plugins libpciaccess0 libxml2 >/dev/null 2>&1 &&
    for package in *.deb; do dpkg -x "$package" .; done)
cat >"$folder/load.c" <<'SOURCE'
#include <dlfcn.h>
#include <hwloc.h>
#include <malloc.h>
#include <stdio.h>

static void load(void)
{
    hwloc_topology_t topology;

    hwloc_topology_init(&topology);
    hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_load(topology);
    hwloc_topology_destroy(topology);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        dlopen("libpciaccess.so.0", RTLD_NOW | RTLD_NODELETE);
    }
    load();
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 20; i++) {
        load();
    }
    printf("%zu\n", (mallinfo2().uordblks - before) / 20);
    return 0;
}
SOURCE
cc -o "$folder/load" "$folder/load.c" -lhwloc
mkdir "$folder/none"
library=$(dirname "$(find "$folder" -name hwloc_pci.so)")
LD_LIBRARY_PATH=$(dirname "$library")
export LD_LIBRARY_PATH
without=$(HWLOC_PLUGINS_PATH=$folder/none "$folder/load")
with=$(HWLOC_PLUGINS_PATH=$library HWLOC_COMPONENTS=-gl,-opencl "$folder/load")
kept=$(HWLOC_PLUGINS_PATH=$library HWLOC_COMPONENTS=-gl,-opencl "$folder/load" keep)
echo "bytes lost by a load without the plugin: $without"
echo "with it: $with"
echo "with it, and libpciaccess.so.0 kept: $kept"
[ "$with" -gt $((100 * without)) ] && [ "$kept" -lt $((10 * without + 1000)) ]
