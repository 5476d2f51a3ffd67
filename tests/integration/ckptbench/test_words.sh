#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What ckptbench says to people: percentiles only where there are reads for them, beside their
# number; bits and messages; targets only for their sizes; a busy machine; how far it is.
#   test_words.sh BIN_DIRECTORY
set -u
bench=$1/ckptbench
[ -x "$bench" ] || { echo "skipped: $bench is not built"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
work=$(mktemp -d /dev/shm/ckptbench-test.XXXXXX) || exit 1
loops=()
# shellcheck disable=SC2317 # by the trap
clean() {
    [ ${#loops[@]} -eq 0 ] || kill "${loops[@]}" 2>/dev/null
    rm -rf "$work"
}
trap clean EXIT

fail() {
    echo "FAILED: $*" >&2
    [ ! -s "$work/out" ] || cat "$work/out" >&2
    exit 1
}

# 128 reads a turn have a p99 and no p99.9; 4 have neither, nor a p90.
"$bench" raw --transport=loop --slice-bytes=64KiB,2MiB --depth=1 --bytes=8MiB --repeat=1 \
    --json="$work/raw.json" >"$work/out" 2>/dev/null || fail raw
python3 - "$work/raw.json" "$work/out" <<'PY' || fail "percentiles"
import json, sys
many, few = json.load(open(sys.argv[1]))["points"]
assert many["reads"] == 128 and few["reads"] == 4, (many, few)
assert many["p50_us"] > 0 and many["p99_us"] > 0 and many["p999_us"] is None, many
assert few["p50_us"] > 0 and few["p90_us"] is few["p99_us"] is few["p999_us"] is None, few
for point in many, few:
    assert abs(point["gbit_per_s"] - 8 * point["gbps"]) < 1e-6 * point["gbps"] + 1e-9, point
    wanted = point["gbps"] * 1e9 / point["slice_bytes"]
    assert abs(point["messages_per_s"] - wanted) <= 1, point
lines = open(sys.argv[2]).read().splitlines()
at = next(i for i, line in enumerate(lines) if "p99.9" in line)
names = lines[at].replace("0 us", "0").replace("x us", "x").replace("U s/GB", "U").split()
for line, reads, absent in (lines[at + 1], "128", 1), (lines[at + 2], "4", 3):
    cells = dict(zip(names, line.split()))
    assert cells["reads"] == reads, (names, line)
    assert [cells[n] for n in ("p90", "p99", "p99.9")].count("-") == absent, (names, line)
    assert float(cells["Gb/s"]) > 0 and int(cells["msg/s"]) > 0, cells
assert any("memcpy" in line and " Gb/s" in line for line in lines), lines
PY

# A target holds for the sizes that it is for.
"$bench" cycle --bytes=8MiB --segment-bytes=2MiB --repeat=1 --small-repeat=1 --dir="$work" --check \
    >"$work/out" 2>/dev/null
grep -q '^  -  *stall_ratio .*; the target is for checkpoints of 1 GiB and more$' "$work/out" ||
    fail "a target for another size"
grep -Eq '^  (ok|MISSED) *save_small_ms .*; target: at most 1$' "$work/out" || fail "a target"
! grep -q '\bbar\b' "$work/out" || fail "an unexplained word"

# A machine that others keep busy is told of, before and after, by how much; and only then.
"$bench" raw --transport=loop --bytes=1MiB --repeat=1 --json="$work/now.json" >"$work/out" \
    2>"$work/err" || fail "raw, as the machine is"
cores=$(nproc)
for _ in $(seq "$cores"); do
    while :; do :; done &
    loops+=($!)
done
"$bench" raw --transport=loop --bytes=64MiB --repeat=3 --json="$work/busy.json" >"$work/busy.out" \
    2>"$work/busy.err" || fail "raw, busy"
kill "${loops[@]}"
loops=()
grep -q 'the machine is busy: other work keeps [0-9.]* of [0-9]* cores, load' "$work/busy.err" ||
    fail "no warning before: $(cat "$work/busy.err")"
grep -q 'WARNING: the machine was busy. Other work kept [0-9.]* of [0-9]* cores meanwhile' \
    "$work/busy.out" || fail "no warning after"
python3 - "$work/busy.json" "$work/now.json" "$work/out" <<'PY' || fail "how busy"
import json, sys
busy, now = (json.load(open(path)) for path in sys.argv[1:3])
e = busy["environment"]
assert e["other_cores_before"] > 0.4 * e["cores"], e
assert e["other_cores"] > 0.2, e
assert any("other work kept" in note.lower() for note in busy["notes"]), busy["notes"]
e = now["environment"]
much = max(e["other_cores"], e["other_cores_before"]) > max(0.2, 0.05 * e["cores"])
assert much == ("WARNING" in open(sys.argv[3]).read()), e
PY

# On a terminal it says how far it is and what is left; into a pipe it says nothing of that.
[ ! -s "$work/err" ] || ! grep -q 'turn' "$work/err" || fail "progress in a pipe"
python3 - "$bench" <<'PY' || fail "progress on a terminal"
import os, pty, subprocess, sys
screen, end = pty.openpty()
command = [sys.argv[1], "raw", "--transport=loop", "--bytes=16MiB", "--repeat=4"]
process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=end)
os.close(end)
seen = b""
try:
    while chunk := os.read(screen, 65536):
        seen += chunk
except OSError:
    pass  # its last holder has closed it
assert process.wait() == 0
text = seen.decode()
assert "raw: turn 2 of 4, point 1 of 1; " in text and " s left" in text, text
assert text.endswith("\r\x1b[K"), repr(text[-80:])
PY
echo ok
