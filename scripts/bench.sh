#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Measures on this machine, beside the raw tools in the same run. Reports go to build/bench/.
#
#   bench.sh [BYTES]      of one shard (default: 1GiB)
#
# Exits 1 when a target of docs/benchmarks.md was missed or something could not be measured.
set -euo pipefail
cd "$(dirname "$0")/.."
bytes=${1:-1GiB}
bin=build/release/bin
out=build/bench
mkdir -p "$out"

missed=0
for what in cycle digest scale; do
    printf '\n== ckptbench %s\n' "$what"
    case $what in
    cycle) "$bin/ckptbench" cycle --bytes="$bytes" --check --json="$out/cycle.json" ;;
    scale) "$bin/ckptbench" scale --check --json="$out/scale.json" ;;
    *) "$bin/ckptbench" "$what" --json="$out/$what.json" ;;
    esac || missed=1
done
for kind in tcp shm; do
    printf '\n== ckptbench raw, ucx:%s\n' "$kind"
    "$bin/ckptbench" raw --transport="ucx:$kind" --bytes=256MiB --sweep --json="$out/$kind.json" ||
        missed=1
    # As ucx_perftest has it: the same bytes again and again, in the caches.
    "$bin/ckptbench" raw --transport="ucx:$kind" --bytes=256MiB --region=2MiB --segment-bytes=2MiB \
        --slice-bytes=1MiB --depth=16 --cpus=0,1 --repeat=15 --json="$out/beside-$kind.json" \
        --beside=ucp_am_bw,ucp_am_bw_eager,tag_bw,tag_bw_eager,ucp_get || missed=1
done
"$bin/ckptbench" plot "$out/cycle.json" -o "$out/cycle.svg"
"$bin/ckptbench" plot "$out/tcp.json" "$out/shm.json" -o "$out/raw.svg"
for micro in build/release/bench/*_benchmark; do
    [ -x "$micro" ] || continue
    printf '\n== %s\n' "$(basename "$micro")"
    "$micro"
done
printf '\nreports: %s\n' "$out"/*.json "$out"/*.svg
exit $missed
