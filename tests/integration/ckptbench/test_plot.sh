#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Results of every case become pictures: well-formed, with units and a legend, and nothing lies
# outside; and files that are no results are refused.
#   test_plot.sh BIN_DIRECTORY
set -u
bench=$1/ckptbench
[ -x "$bench" ] || { echo "skipped: $bench is not built"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: no python3 to read XML"; exit 77; }
work=$(mktemp -d /dev/shm/ckptbench-test.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# look FILE WORDS...: the picture is XML, all words are in its texts, nothing lies outside of it.
look() {
    python3 - "$@" <<'PY' || fail "$1"
import sys
import xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
name = lambda e: e.tag.split("}")[1]
assert name(root) == "svg"
width, height = (float(root.get(k)) for k in ("width", "height"))
texts = [e.text or "" for e in root.iter() if name(e) == "text"]
for words in sys.argv[2:]:
    assert any(words in t for t in texts), (words, texts)
count = 0
for e in root.iter():
    places = []
    if name(e) == "polyline":
        places = [tuple(map(float, p.split(","))) for p in e.get("points").split()]
    elif name(e) == "circle":
        places = [(float(e.get("cx")), float(e.get("cy")))]
    elif name(e) == "rect":
        x, y, w, h = (float(e.get(k)) for k in ("x", "y", "width", "height"))
        assert w >= 0 and h >= 0, tree.tostring(e)
        places = [(x, y), (x + w, y + h)]
    elif name(e) == "line":
        x1, y1, x2, y2 = (float(e.get(k)) for k in ("x1", "y1", "x2", "y2"))
        places = [(x1, y1), (x2, y2)]
    elif name(e) == "text":
        places = [(float(e.get("x")), float(e.get("y")))]
    for x, y in places:
        assert 0 <= x <= width and 0 <= y <= height, (tree.tostring(e), width, height)
        count += 1
assert count > 50, count
PY
}

# Names that XML must not take for its own.
raw="$work/tcp <&\"quick\">.json"
"$bench" raw --transport=loop --sweep --bytes=4MiB --repeat=2 --json="$raw" >/dev/null ||
    fail "a sweep"
"$bench" raw --transport=loop --slice-bytes=1MiB --depth=4 --bytes=4MiB --repeat=2 \
    --json="$work/one.json" >/dev/null || fail "one point"
"$bench" plot "$raw" "$work/one.json" -o "$work/raw.svg" || fail "plot raw"
look "$work/raw.svg" 'GB/s' 'microseconds' 'CPU seconds' '64 KiB' 'p99.9' '16 in flight' \
    'tcp <&"quick">' 'one, 4 in flight' 'memcpy' 'cores'
"$bench" plot "$work/one.json" --title='A "title" & more' -o - >"$work/one.svg" || fail "one result"
look "$work/one.svg" 'A "title" & more' '1 MiB'

"$bench" scale --from=8 --agents=32 --repeat=1 --json="$work/scale.json" >/dev/null || fail scale
"$bench" digest --bytes=1MiB --repeat=1 --dir="$work" --json="$work/digest.json" >/dev/null ||
    fail digest
"$bench" register --bytes=4MiB --devices=lo,lo --repeat=2 --json="$work/register.json" \
    --csv="$work/register.csv" >"$work/out" || fail register
grep -q 'in parallel' "$work/out" || fail "register does not compare"
grep -q '^"faulting pages in",[0-9]' "$work/register.csv" || fail "register's CSV"
"$bench" rails --transport=ucx:tcp --devices=lo --bytes=4MiB --segment-bytes=2MiB --repeat=2 \
    --json="$work/rails.json" >"$work/out" || fail rails
grep -q 'numa0' "$work/out" || fail "rails does not say what is chosen"
cat >"$work/cycle.json" <<'JSON'
{"case": "cycle", "title": "t", "bytes": 1073741824, "environment": {"cpu": "c", "cores": 2},
 "memcpy_gbps": 10,
 "save_gbps": 12, "raw_read_gbps": 4, "replicate_gbps": 3, "replicate_roof_gbps": 3.2,
 "restore_gbps": null, "stall_ratio": 1.2, "replicate_ratio": 0.75, "save_small_ms": 0.1,
 "consistent_small_ms": 1.5, "spread": {"save_gbps": {"min": 11, "max": 13}}}
JSON
"$bench" plot "$work"/{scale,digest,register,rails,cycle}.json \
    --labels=alpha,beta,gamma,delta,epsilon -o "$work/all.svg" || fail "plot the others"
look "$work/all.svg" epsilon delta gamma beta 'join' 'roofline' 'target' 'replicate' \
    'scalar' 'milliseconds a GiB' 'agents of the cluster'

look "$work/all.svg" 'target 0.95' 'target 0.7' 'target 1'

# A target is drawn only where it holds for the sizes of all results.
sed 's/1073741824/67108864/' "$work/cycle.json" >"$work/small.json"
"$bench" plot "$work/cycle.json" "$work/small.json" -o "$work/sizes.svg" || fail "plot two sizes"
look "$work/sizes.svg" 'target 1'
! grep -q 'target 0' "$work/sizes.svg" || fail "a target for another size was drawn"

# No line of the percentiles is left out: two results of six slices and two depths are 24.
"$bench" plot "$raw" "$raw" --labels=first,second -o "$work/percentiles.svg" || fail "24 lines"
for of in first second; do
    for depth in 1 16; do
        look "$work/percentiles.svg" "Percentiles of a read's time: $of, $depth in flight"
    done
done
[ "$(grep -c '>4 KiB<' "$work/percentiles.svg")" -ge 4 ] || fail "a slice size has no line"
python3 - "$work/percentiles.svg" <<'PY' || fail "lines of the percentiles"
import re, sys
picture = open(sys.argv[1]).read()
legends = re.findall(r'font-size="11.5"[^>]*text-anchor="start">(\d+ [KM]iB)<', picture)
sizes = ["4 KiB", "16 KiB", "64 KiB", "256 KiB", "1 MiB", "4 MiB"]
assert sorted(legends) == sorted(4 * sizes), legends
PY
"$bench" raw --transport=loop --slice-bytes=64KiB --depth=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 \
    --bytes=1MiB --repeat=1 --json="$work/deep.json" >/dev/null || fail "16 depths"

# refuse WORDS ARGUMENT...: exit 2, and the words.
refuse() {
    local words=$1
    shift
    "$bench" plot "$@" >"$work/out" 2>"$work/err"
    [ $? -eq 2 ] || fail "plot $* is not refused"
    grep -qF -e "$words" "$work/err" || fail "plot $*: $(cat "$work/err")"
}
refuse 'did you mean scale.json?' "$work/scaly.json" -o "$work/x.svg"
echo '{"case": "raw"' >"$work/broken.json"
refuse 'is not JSON' "$work/broken.json" -o "$work/x.svg"
echo '{"hello": 1}' >"$work/other.json"
refuse 'is not a result' "$work/other.json" -o "$work/x.svg"
echo '{"case": "magic", "environment": {}}' >"$work/magic.json"
refuse 'does not draw' "$work/magic.json" -o "$work/x.svg"
echo '{"case": "raw", "environment": {}, "points": [{"gbps": "fast"}, 7]}' >"$work/empty.json"
refuse 'nothing to draw' "$work/empty.json" -o "$work/x.svg"
deep=$work/deep.json
refuse 'more lines than a picture tells apart' "$deep" "$deep" "$deep" -o "$work/x.svg"
refuse '2 names for 1' "$work/scale.json" --labels=a,b -o "$work/x.svg"
refuse 'output' "$work/scale.json"
[ ! -e "$work/x.svg" ] || fail "a refused picture was made"
"$bench" plot "$work/scale.json" -o "$work/none/x.svg" 2>/dev/null
[ $? -eq 1 ] || fail "a picture that cannot be written"
echo ok
