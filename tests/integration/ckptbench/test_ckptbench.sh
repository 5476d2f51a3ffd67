#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each case of ckptbench with small sizes: every key is there with a value above 0, nothing is left
# behind, also when it is interrupted. Says nothing about speed.
#   test_ckptbench.sh BIN_DIRECTORY
set -u
bin=$1
for program in ckptbench ckptd ckptctld; do
    [ -x "$bin/$program" ] || { echo "skipped: $bin/$program is not built"; exit 77; }
done
command -v python3 >/dev/null || { echo "skipped: no python3 to read JSON"; exit 77; }

work=$(mktemp -d /dev/shm/ckptbench-test.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/dir"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# check FILE KEY...: each key has a number above 0, and nothing is missing.
check() {
    python3 - "$@" <<'PY' || fail "$1"
import json, sys
result = json.load(open(sys.argv[1]))
assert result["missing"] == {}, result["missing"]
assert result["environment"]["cores"] > 0, result["environment"]
for key in sys.argv[2:]:
    assert isinstance(result[key], (int, float)) and result[key] > 0, (key, result.get(key))
    print(key, result[key])
PY
}

# No directory of ours is left, and no process that was started with one.
check_gone() {
    [ -z "$(ls "$work/dir")" ] || fail "$1 left $(ls "$work/dir")"
    ! pgrep -f -- "=$work/dir/" >/dev/null || fail "$1 left a process"
}

# Long enough for the clock that counts a process's user time in ticks.
"$bin/ckptbench" digest --bytes=128MiB --repeat=1 --dir="$work/dir" --json="$work/digest.json" ||
    fail digest
if command -v b3sum >/dev/null; then
    check "$work/digest.json" bytes b3sum_gbps scalar_gbps scalar_ratio
else
    ! jq -e .b3sum_gbps "$work/digest.json" >/dev/null 2>&1 || fail "a number without b3sum"
fi
check_gone digest

"$bin/ckptbench" raw --bytes=16MiB --segment-bytes=4MiB --repeat=1 --json="$work/raw.json" ||
    fail raw
check "$work/raw.json" bytes memcpy_gbps raw_read_gbps raw_read_cpu_s_per_gb slice_bytes depth

"$bin/ckptbench" cycle --bytes=64MiB --repeat=1 --small-repeat=5 --dir="$work/dir" \
    --json="$work/cycle.json" || fail cycle
check "$work/cycle.json" bytes memcpy_gbps save_gbps stall_ratio save_small_ms raw_read_gbps \
    replicate_gbps replicate_ratio replicate_roof_gbps restore_gbps restore_ratio \
    local_restore_s digest_gbps consistent_s agent_rss_beyond_arena_bytes
check_gone cycle

"$bin/ckptbench" cycle --bytes=8MiB --ranks=3 --segment-bytes=2MiB --repeat=1 --small-repeat=1 \
    --dir="$work/dir" --json="$work/ranks.json" || fail "three ranks"
check "$work/ranks.json" save_gbps replicate_gbps restore_gbps
check_gone "three ranks"

# Two clusters turn about, of which one proves by BLAKE3: each turn of both is in the ratios.
"$bin/ckptbench" cycle --digest=both --bytes=8MiB --segment-bytes=2MiB --repeat=2 --small-repeat=2 \
    --dir="$work/dir" --json="$work/both.json" || fail "both digests"
check "$work/both.json" replicate_gbps blake3_replicate_gbps replicate_speedup restore_speedup \
    local_restore_speedup cpu_ratio consistent_small_ratio
python3 - "$work/both.json" <<'PY' || fail "ratios of both digests"
import json, sys
both = json.load(open(sys.argv[1]))
samples = {key: both["spread"][key]["samples"] for key in
           ("replicate_gbps", "blake3_replicate_gbps", "replicate_speedup")}
assert len(samples["replicate_speedup"]) == 2, samples
for ours, theirs, ratio in zip(*samples.values()):
    assert abs(ours / theirs - ratio) < 1e-6 * ratio, samples
PY
check_gone "both digests"

"$bin/ckptbench" scale --from=8 --agents=16 --repeat=1 --json="$work/scale.json" || fail scale
check "$work/scale.json" checkpoint_us_per_agent_16 join_growth memory_bytes

"$bin/ckptbench" scale --real --agents=12 --ranks=2 --saves=2 --seconds=3 --dir="$work/dir" \
    --ckptctld="$bin/ckptctld,$bin/ckptctld" --json="$work/real.json" || fail "scale --real"
check "$work/real.json" idle_cpu save_cpu_s save_s rss_mib idle_frames idle_cpu_2 idle_cpu_ratio_2
check_gone "scale --real"

"$bin/ckptbench" fanout --bytes=8MiB --ranks=2,4 --senders=1,2 --piece-bytes=1MiB --link=100MiB \
    --repeat=1 --json="$work/fanout.json" || fail fanout
python3 - "$work/fanout.json" <<'PY' || fail "points of fanout"
import json, sys
points = json.load(open(sys.argv[1]))["points"]
assert len(points) == 9, points  # (2, 1), (4, 1), (4, 2), each by three shapes
assert all(point["seconds"] > 0 and point["speedup"] > 0 for point in points), points
PY

# Interrupted in mid-run.
"$bin/ckptbench" cycle --bytes=64MiB --repeat=100 --dir="$work/dir" >/dev/null 2>&1 &
pid=$!
for _ in $(seq 100); do
    ls "$work"/dir/*/c.sock >/dev/null 2>&1 && break
    sleep 0.1
done
kill -INT $pid
wait $pid
[ $? -eq 130 ] || fail "an interrupt does not end it with 130"
check_gone "an interrupted cycle"

# A wrong request leaves nothing behind either; test_input.sh has more of them.
"$bin/ckptbench" cycle --bytes=8MiB --transport=nonsense --dir="$work/dir" >/dev/null 2>&1
[ $? -eq 2 ] || fail "an unknown transport is not exit 2"
check_gone "a refused cycle"
"$bin/ckptbench" cycle --bites=8MiB >/dev/null 2>&1
[ $? -eq 2 ] || fail "an unknown flag is not exit 2"
"$bin/ckptbench" fanout --ranks=2 --senders=2 >/dev/null 2>&1
[ $? -eq 2 ] || fail "a group of senders alone is not exit 2"
"$bin/ckptbench" scale --from=2 >/dev/null 2>&1
[ $? -eq 2 ] || fail "agents of one domain are not exit 2"
echo ok
