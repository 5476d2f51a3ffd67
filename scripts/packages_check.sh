#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the packages of a folder on the Debian that this is, starts a coordinator and two agents
# by what was installed, saves and restores from C's and Python's side, removes everything, and
# looks at what is left. In a root of its own: root_run.sh ROOT scripts/packages_check.sh FOLDER
set -eu
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
say() { echo "packages: $*"; }

apt-get update -q >"$work/log" 2>&1
apt-get install -y --no-install-recommends "$folder"/*.deb b3sum >>"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    exit 1
}
say "installed: $(dpkg-query -W -f '${Package} ${Version}, ' libckpt0 libckpt-dev ckptd \
    python3-ckptd ckptd-doc)"
for program in ckptd ckptctld ckptctl ckptbench; do
    "$program" --version
    if readelf -d "$(command -v "$program")" 2>/dev/null | grep -q RUNPATH; then
        say "$program has a RUNPATH"
        exit 1
    fi
done

# The first line of the log that has the text.
await() {
    for _ in $(seq 600); do
        grep -m1 "$2" "$1" && return
        sleep 0.1
    done
    cat "$1" >&2
    return 1
}
ckptctld --listen=127.0.0.1:0 --socket="$work/c.sock" --state-directory="$work/state" \
    2>"$work/c.log" &
pids+=($!)
address=$(await "$work/c.log" event=ready | sed 's/.* address=\([^ ]*\).*/\1/')
for node in a b; do
    ckptd --node="$node" --coordinator="$address" --listen=127.0.0.1:0 --arena-bytes=64MiB \
        --arena-segment-bytes=2MiB --socket="$work/$node.sock" 2>"$work/$node.log" &
    pids+=($!)
    await "$work/$node.log" event=ready >/dev/null
done
python3 - "$work/a.sock" <<'PYTHON'
import sys

import ckptd
from ckptd.context import Context, Table, Tensor
from ckptd.library import ffi

data = ffi.new("uint8_t[]", bytes(range(256)))
address = int(ffi.cast("uintptr_t", data))
with Context("packaged", socket=sys.argv[1]) as context:
    context.save(1, Table([Tensor("t", "U8", (256,), address, 256)]))
    context.wait(1, 60)
with Context("packaged", socket=sys.argv[1]) as context, context.load() as shard:
    assert bytes(shard.data("t")) == bytes(range(256))
print("packages: Python saved and restored, libckpt", ckptd.version())
PYTHON
ckptctl status --coordinator="$work/c.sock"
ckptctl export packaged 1 0 "$work/shard" --coordinator="$work/c.sock" --socket="$work/b.sock"
b3sum "$work/shard"
for name in ckptd ckptctld; do
    test -e /usr/lib/systemd/system/$name.service -o -e /lib/systemd/system/$name.service
done
kill "${pids[@]}"
wait "${pids[@]}" || true
pids=()
rm -rf /dev/shm/ckptd-a /dev/shm/ckptd-b

apt-get purge -y 'libckpt-kernels*' >>"$work/log" 2>&1 || true # only of a build with nvcc
apt-get purge -y libckpt0 libckpt-fanout1 libckpt-dev ckptd python3-ckptd ckptd-doc \
    >>"$work/log" 2>&1
left=$(find / -xdev \( -path /proc -o -path /sys -o -path "$PWD" -o -path "$work" \) -prune -o \
    \( -name '*ckptd*' -o -name 'libckpt*' -o -name 'ckptctl*' \) -print 2>/dev/null |
    grep -v -e '^/var/lib/dpkg' -e '^/var/log' -e '^/tmp' || true)
if [ -n "$left" ]; then
    say "left behind: $left"
    exit 1
fi
say "removed, and nothing is left"
