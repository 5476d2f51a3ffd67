#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ckptbench between two network namespaces joined by a cable: a result; and when the cable is cut
# in mid-run both ends end by themselves.
#   test_net.sh BIN_DIRECTORY
set -u
bench=$1/ckptbench
[ -x "$bench" ] || { echo "skipped: $bench is not built"; exit 77; }
a=ckb-a-$$ b=ckb-b-$$
if ! ip netns add "$a" 2>/dev/null; then
    echo "skipped: network namespaces cannot be made here (root and iproute2 are needed)"
    exit 77
fi
work=$(mktemp -d /dev/shm/ckptbench-test.XXXXXX) || exit 1
server='' client=''
clean() {
    for pid in $server $client; do
        kill -KILL "$pid" 2>/dev/null
    done
    ip netns del "$a"
    ip netns del "$b"
    rm -rf "$work"
}
trap clean EXIT

fail() {
    echo "FAILED: $*" >&2
    cat "$work"/*.log >&2
    exit 1
}

await() {
    for _ in $(seq 300); do
        grep -q -e "$1" "$2" 2>/dev/null && return
        sleep 0.1
    done
    fail "no \"$1\" in $2"
}

ip netns add "$b" &&
    ip link add va netns "$a" type veth peer name vb netns "$b" &&
    ip -n "$a" addr add 10.99.0.1/24 dev va && ip -n "$b" addr add 10.99.0.2/24 dev vb &&
    ip -n "$a" link set va up && ip -n "$b" link set vb up || fail "namespaces"
# UCX takes an interface only when the kernel has noticed its carrier.
for side in "$a va" "$b vb"; do
    read -r space name <<<"$side"
    for _ in $(seq 100); do
        ip -n "$space" link show "$name" | grep -q 'state UP' && break
        sleep 0.1
    done
done

ip netns exec "$a" "$bench" serve --listen=10.99.0.1:7479 --once >"$work/server.log" 2>&1 &
server=$!
await 'listens at' "$work/server.log"
timeout 60 ip netns exec "$b" "$bench" raw --connect=10.99.0.1 --bytes=16MiB --repeat=2 \
    >"$work/client.log" 2>&1 || fail "a client in the other namespace"
grep -q 'from 10.99.0.1' "$work/client.log" || fail "the result does not say from where"
wait $server || fail "the server after a good client"

ip netns exec "$a" "$bench" serve --listen=10.99.0.1:7479 --once >"$work/server2.log" 2>&1 &
server=$!
await 'listens at' "$work/server2.log"
ip netns exec "$b" "$bench" raw --connect=10.99.0.1 --bytes=64MiB --repeat=1000 \
    >"$work/client2.log" 2>&1 &
client=$!
await '^client' "$work/server2.log"
sleep 1
ip -n "$a" link set va down
for _ in $(seq 300); do
    kill -0 $server 2>/dev/null || kill -0 $client 2>/dev/null || break
    sleep 0.1
done
kill -0 $client 2>/dev/null && fail "the client does not notice a cut cable"
kill -0 $server 2>/dev/null && fail "the server does not notice a cut cable"
wait $client && fail "a client ends well over a cut cable"
wait $server && fail "a session ends well over a cut cable"
server='' client=''
cat "$work/client2.log" "$work/server2.log"
echo ok
