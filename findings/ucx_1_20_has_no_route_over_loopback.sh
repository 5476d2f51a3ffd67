#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# libucx-cu12 1.20.0 and 1.20.1 (UCX), beside 1.21.0.
#
# Two processes of one machine cannot talk by TCP over the loopback device ("no route to
# 71.140.67.170", another number on each machine), for whom UCX_NET_DEVICES=lo is the way to keep a
# test off the network. A machine with a second device does not see it: all devices are tried. What
# UCX tells a peer of lo is no address but the number of the network namespace, and 1.20 looks that
# up in the routing table as if it were one. 1.19 and 1.21 go through.
#
# Source: src/uct/tcp/tcp_iface.c; https://github.com/openucx/ucx/pull/11202
set -eu
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
export UCX_TLS=tcp UCX_NET_DEVICES=lo
port=$(python3 -c 'import socket; print(socket.create_server(("", 0)).getsockname()[1])')
python3 -m venv "$folder/venv"
for version in 1.19.0 1.20.0 1.20.1 1.21.0; do
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --target "$folder/$version" "libucx-cu12==$version"
    ucx=$folder/$version/libucx
    chmod +x "$ucx/bin/ucx_perftest"
    LD_LIBRARY_PATH=$ucx/lib timeout 60 "$ucx/bin/ucx_perftest" -p "$port" >/dev/null 2>&1 &
    server=$!
    sleep 2
    status=0
    LD_LIBRARY_PATH=$ucx/lib timeout 60 "$ucx/bin/ucx_perftest" 127.0.0.1 -p "$port" \
        -t ucp_am_bw -s 4096 -n 1000 >"$folder/seen" 2>&1 || status=$?
    wait "$server" || true
    server=
    echo "$version: status $status $(grep -o 'no route to.*' "$folder/seen" || true)"
    case $version in
    1.20.*) [ "$status" -ne 0 ] && grep -q 'tcp/lo - no route to' "$folder/seen" ;;
    *) [ "$status" -eq 0 ] ;;
    esac
done
