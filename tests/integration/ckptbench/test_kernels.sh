#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ckptbench kernels by the driver and the kernels of tests/fake_gpu: it proves on it and tells no
# speeds, finds each wrong value by the kernel's name, and measures on what passes for a GPU.
#   test_kernels.sh BIN_DIRECTORY FAKE_DIRECTORY
set -u
bench=$1/ckptbench
fake=$2
[ -x "$bench" ] || { echo "skipped: $bench is not built"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
work=$(mktemp -d /dev/shm/ckptbench-test.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    cat "$work/out" "$work/err" >&2
    exit 1
}

# expect FOLDER SCRIPT STATUS WORDS FLAG...: of the driver in FOLDER, with that script of faults,
# the exit status and words on standard error ("": any).
expect() {
    local folder=$1 script=$2 status=$3 words=$4 got
    shift 4
    LD_LIBRARY_PATH=$folder FAKE_GPU=$script timeout 120 "$bench" kernels "$@" >"$work/out" \
        2>"$work/err"
    got=$?
    [ $got -eq "$status" ] || fail "FAKE_GPU=$script kernels $*: exit status $got"
    grep -qF -e "$words" "$work/err" || fail "FAKE_GPU=$script kernels $*: not a word of '$words'"
}

# On the fake it proves, and says why there is no speed.
expect "$fake" '' 0 '' --json="$work/fake.json" --csv="$work/fake.csv"
grep -q 'a stand-in on the CPU: it proves, and no speed is measured' "$work/out" || fail "no word"
expect "$fake" as_gpu 0 '' --prove --gpu=1 --json="$work/prove.json"
python3 - "$work" <<'PY' || fail "what is told of a proof"
import json, sys
for name, gpu in ("fake", "Fake GPU of the tests, 0"), ("prove", "GPU of the tests, 1"):
    told = json.load(open(f"{sys.argv[1]}/{name}.json"))
    assert (told["case"], told["mode"], told["gpu"]) == ("kernels", "prove", gpu), told
    assert "bytes" not in told and len(told["points"]) == 10, told
    for point in told["points"]:
        assert point["proven_bytes"] > 3 << 20, point
        assert not {"us", "gbps", "of_copy", "of_roofline"} & point.keys(), point
text = open(f"{sys.argv[1]}/fake.csv").read()
assert "proven_bytes" in text and "gbps" not in text, text
PY

# Each result that comes back with a wrong bit is found, by name; so are wrong bytes on the GPU.
at=0
for kernel in "device's copy: byte" "blake3: chunk" "fingerprint: chunk" \
    "fingerprint, counting: chunk" "fingerprint, counting: the count of tensor" "scatter: byte" \
    "gather: byte" "finite: the count of tensor" "scatter, odd: byte" "gather, odd: byte" \
    "changed: bits, word"; do
    at=$((at + 1))
    expect "$fake" "flip=$at" 1 "WRONG: $kernel" --prove
done
expect "$fake" "flip=$((3 * at + 2))" 1 "WRONG: blake3: chunk 1 of 1 " # the least shard's
expect "$fake" "flip=$((4 * at + 1))" 0 ''
expect "$fake" flip_in=3 1 "WRONG: device's copy: byte"
expect "$fake" flip_in=4 1 "WRONG: scatter: byte"
expect "$fake" flip_in=5 1 "WRONG: gather: byte"
expect "$fake" as_gpu,flip=2 1 "WRONG: blake3: chunk" --bytes=1MiB

# What fails or is not there is said, and nothing is measured.
expect "$fake" kernel=1 1 "kernel blake3: "
expect "$fake" sticky=40 1 "(700)"
expect "$fake" sticky_copy=4 1 "GPU: copying from it: an illegal memory access"
expect "$fake" no_memory 1 "allocating its memory"
expect "$fake" no_device 2 "(100)"
expect "$fake" '' 2 "there is no GPU 7" --gpu=7
expect "$fake" '' 2 "bytes" --bytes=1
mkdir "$work/driver" "$work/none"
ln -s "$fake/libcuda.so.1" "$work/driver/"
echo "not a library" >"$work/driver/libckpt_kernels.so.1"
echo "not a library" >"$work/none/libcuda.so.1"
expect "$work/driver" '' 2 "kernels: not to be opened"
expect "$work/none" '' 2 "no NVIDIA driver on this machine"

# What passes for a GPU is measured, with as many bytes as fit, beside the rooflines of an H200.
expect "$fake" as_gpu 0 '' --repeat=2 --json="$work/gpu.json"
python3 - "$work/gpu.json" <<'PY' || fail "what is told of a measurement"
import json, sys
told = json.load(open(sys.argv[1]))
assert told["mode"] == "measure" and told["bytes"] == 2 << 20, told
points = {point["label"]: point for point in told["points"]}
rooflines = {"device's copy": 2400, "blake3": 1672.7, "fingerprint": 4800,
             "fingerprint, counting": 2854.7, "scatter": 2400, "gather": 2400, "finite": 4800,
             "scatter, odd": 2400, "gather, odd": 2400, "changed": None}
assert list(points) == list(rooflines), list(points)


def near(value, wanted):
    return abs(value - wanted) <= 1e-6 * wanted


copy = points["device's copy"]["samples"]["seconds"]
for name, point in points.items():
    seconds = point["samples"]["seconds"]
    assert len(seconds) == 2 and min(seconds) > 0, point
    assert near(point["us"], sum(seconds) / 2 * 1e6), point
    if name == "changed":
        assert point["gbps"] is point["of_copy"] is None, point
        assert point["roofline_gbps"] is point["of_roofline"] is None, point
        continue
    assert abs(point["roofline_gbps"] - rooflines[name]) < 0.1, point
    assert near(point["gbps"], told["bytes"] / point["us"] / 1e3), point
    assert near(point["of_roofline"], point["gbps"] / point["roofline_gbps"]), point
    crossings = 2 if "scatter" in name or "gather" in name or "copy" in name else 1
    wanted = [crossings / 2 * c / s for c, s in zip(copy, seconds)]
    assert near(point["of_copy"], sum(wanted) / 2), (point, wanted)
PY
echo ok
