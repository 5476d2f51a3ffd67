#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# libucx-cu12 1.15.0.post2, 1.16.0.post2 and 1.22.0 (UCX). As root (a network namespace is made).
#
# From 1.16 on TCP does not use a bridge, not even one that UCX_NET_DEVICES names: br0 "is not
# available". On a host of virtual machines, where the address lies on the bridge and the card has
# none, an upgrade leaves lo alone, and no other machine is reached. UCX_TCP_BRIDGE_ENABLE=y brings
# bridges back, which no message says. 1.15 used them as any device.
#
# Source: src/uct/tcp/tcp_iface.c and tcp_md.c, BRIDGE_ENABLE.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat >"$folder/look.sh" <<'LOOK'
mount -t sysfs sysfs /sys
ip link add br0 type bridge
ip link add port0 type veth peer name port1
ip link set port0 master br0
ip address add 192.0.2.1/24 dev br0
for device in lo port0 port1 br0; do ip link set "$device" up; done
until [ "$(cat /sys/class/net/br0/operstate)" = up ]; do sleep 0.1; done
for version in 1.15.0.post2 1.16.0.post2 1.22.0; do
    export LD_LIBRARY_PATH="$1/$version/libucx/lib"
    chmod +x "$1/$version/libucx/bin/ucx_info"
    for enable in "" y; do
        export UCX_TLS=tcp UCX_NET_DEVICES=br0 UCX_TCP_BRIDGE_ENABLE="$enable"
        [ -n "$enable" ] || unset UCX_TCP_BRIDGE_ENABLE
        answer=refused
        timeout 30 "$1/$version/libucx/bin/ucx_info" -epw -u a >"$1/seen" 2>&1 || true
        ! grep -q 'lane.*tcp/br0' "$1/seen" || answer=used
        echo "$version: br0 by name${enable:+, UCX_TCP_BRIDGE_ENABLE=y}: $answer"
        grep -o "network device 'br0' is not available" "$1/seen" || true
    done
done
LOOK
for version in 1.15.0.post2 1.16.0.post2 1.22.0; do
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --target "$folder/$version" "libucx-cu12==$version"
done
unshare --net --mount sh -eu "$folder/look.sh" "$folder" | tee "$folder/all"
cat >"$folder/known" <<'KNOWN'
1.15.0.post2: br0 by name: used
1.15.0.post2: br0 by name, UCX_TCP_BRIDGE_ENABLE=y: used
1.16.0.post2: br0 by name: refused
network device 'br0' is not available
1.16.0.post2: br0 by name, UCX_TCP_BRIDGE_ENABLE=y: used
1.22.0: br0 by name: refused
network device 'br0' is not available
1.22.0: br0 by name, UCX_TCP_BRIDGE_ENABLE=y: used
KNOWN
diff "$folder/known" "$folder/all"
