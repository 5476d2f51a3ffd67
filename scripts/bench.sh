#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Measures on this machine, beside the raw tools in the same run. Reports go to build/bench/.
#
#   bench.sh [BYTES]      of one shard (default: 1GiB)
#
# Exits 1 when a bar of docs/benchmarks.md was missed or something could not be measured.
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
for micro in build/release/bench/*_benchmark; do
    [ -x "$micro" ] || continue
    printf '\n== %s\n' "$(basename "$micro")"
    "$micro"
done
printf '\nreports: %s\n' "$out"/*.json
exit $missed
