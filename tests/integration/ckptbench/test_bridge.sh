#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two hosts as network namespaces, one of which has its address on a bridge, as hosts of virtual
# machines have it: reads over TCP, with the bridge named and with nothing named.
#   test_bridge.sh BIN_DIRECTORY
set -eu
bench=$1/ckptbench
[ -x "$bench" ] || { echo "skipped: $bench is not built"; exit 77; }
[ "$(id -u)" -eq 0 ] && unshare --net --mount true 2>/dev/null ||
    { echo "skipped: namespaces need root"; exit 77; }
command -v ip >/dev/null || { echo "skipped: no ip (iproute2)"; exit 77; }
if [ -z "${BRIDGE_INSIDE:-}" ]; then
    BRIDGE_INSIDE=1 exec unshare --net --mount "$0" "$1"
fi
work=$(mktemp -d /dev/shm/ckptbench-test.XXXXXX)
peer=
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; [ -z "$peer" ] || kill "$peer"
    rm -rf "$work"' EXIT

# Without a loopback: both are of one boot, and would meet there. UCX looks for devices in /sys.
mount -t sysfs sysfs /sys || { echo "skipped: no sysfs of its own"; exit 77; }
ip link add br0 type bridge 2>/dev/null || { echo "skipped: no bridges here"; exit 77; }
unshare --net sleep 120 &
peer=$!
other() {
    nsenter --target "$peer" --net unshare --mount sh -c \
        'mount -t sysfs sysfs /sys && exec "$@"' sh "$@"
}
for _ in $(seq 100); do
    [ "$(cat /proc/$peer/comm)" != sleep ] || break
    sleep 0.1
done
ip link add port0 type veth peer name e0 netns "$peer"
ip link set port0 master br0
ip address add 192.0.2.1/24 dev br0
ip link set port0 up
ip link set br0 up
other ip address add 192.0.2.2/24 dev e0
other ip link set e0 up

for devices in br0 ""; do
    echo "devices: ${devices:-all}"
    : >"$work/server"
    "$bench" serve --listen=192.0.2.1:0 --once --transport=ucx:tcp \
        ${devices:+"--devices=$devices"} >"$work/server" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        port=$(sed -n 's/.*listens at .*://p' "$work/server")
        [ -z "$port" ] || break
        sleep 0.1
    done
    other timeout 60 "$bench" raw --connect="192.0.2.1:$port" --transport=ucx:tcp --bytes=16MiB \
        --repeat=1 >"$work/client" 2>&1 || { cat "$work"/*; exit 1; }
    wait "$server"
    server=
    tail -n 1 "$work/client"
done
