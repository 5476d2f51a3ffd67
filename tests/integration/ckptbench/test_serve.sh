#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ckptbench serve and its clients over loopback: a result, refusals with their reasons, and that
# neither end outlives the other by more than seconds.
#   test_serve.sh BIN_DIRECTORY
set -u
bench=$1/ckptbench
[ -x "$bench" ] || { echo "skipped: $bench is not built"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
work=$(mktemp -d /dev/shm/ckptbench-test.XXXXXX) || exit 1
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    cat "$work"/*.log >&2
    exit 1
}

# await WORDS FILE [TIMES]: the file has so many lines with the words within 30 seconds.
await() {
    for _ in $(seq 300); do
        [ "$(grep -c -e "$1" "$2" 2>/dev/null)" -ge "${3:-1}" ] && return
        sleep 0.1
    done
    fail "no \"$1\" in $2"
}

# start_server FLAG...: at a port of its own choosing, which becomes $port.
start_server() {
    "$bench" serve --listen=127.0.0.1:0 "$@" >"$work/server.log" 2>&1 &
    server=$!
    await 'listens at' "$work/server.log"
    port=$(sed -n 's/.*listens at .*://p' "$work/server.log")
}

end_server() {
    kill "$server"
    wait "$server"
    server=
}

client() {
    timeout 60 "$bench" raw --connect="127.0.0.1:$port" --bytes=16MiB --segment-bytes=4MiB "$@"
}

# refused CODE WORDS ARGUMENT...
refused() {
    local code=$1 words=$2 got
    shift 2
    client "$@" >/dev/null 2>"$work/refused.log"
    got=$?
    [ $got -eq "$code" ] && grep -qF -e "$words" "$work/refused.log" ||
        fail "client $*: exit $got, want $code and \"$words\""
}

start_server --transport=ucx:tcp --bytes-max=64MiB
client --repeat=2 --slice-bytes=64KiB,1MiB --json="$work/result.json" --csv="$work/result.csv" \
    >/dev/null || fail "a client"
python3 - "$work/result.json" "$work/result.csv" <<'PY' || fail "the result"
import csv, json, sys
result = json.load(open(sys.argv[1]))
assert result["peer_environment"]["cores"] > 0
assert result["connect"].startswith("127.0.0.1:")
assert [p["slice_bytes"] for p in result["points"]] == [65536, 1048576]
for p in result["points"]:
    assert p["gbps_min"] <= p["gbps"] <= p["gbps_max"] and p["gbps"] > 0, p
    # Those that there are reads enough for.
    parts = [p[k] for k in ("p50_us", "p90_us", "p99_us", "p999_us") if p[k] is not None]
    assert 0 < parts[0] and parts == sorted(parts) and parts[-1] <= p["max_us"], p
    assert p["reads"] == 2 * 16 * 2**20 // p["slice_bytes"], p
    assert len(p["samples"]["gbps"]) == 2
rows = list(csv.DictReader(line for line in open(sys.argv[2]) if line[0] != "#"))
assert [int(r["slice_bytes"]) for r in rows] == [65536, 1048576], rows
assert abs(float(rows[0]["gbps"]) - result["points"][0]["gbps"]) < 0.001, rows
PY

refused 2 'this server serves ucx:tcp' --transport=ucx:shm
refused 2 '--bytes-max' --region=128MiB --segment-bytes=64MiB

# What is not a client, and a client of another version.
python3 - "$port" <<'PY' || fail "words that are not the protocol"
import json, socket, sys
for words, wanted in (b"garbage\n", "does not speak"), (b"x" * 100000, "without an end"), \
        (b'{"ckptbench": 1, "transport": "ucx:tcp"}\n', "version 1"), \
        (b'{"ckptbench": 2, "transport": 7}\n', "no transport"), \
        (b'{"ckptbench": 2, "transport": "ucx:tcp", "bytes": -1}\n', "out of range"), \
        (b'["ckptbench"]\n', "does not speak"), (b'', None):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as s:
        s.sendall(words)
        if wanted is None:
            continue
        said = json.loads(s.makefile().readline())
        while "tick" in said:
            said = json.loads(s.makefile().readline())
        assert wanted in said["error"], (words[:20], said)
        s.settimeout(20)
PY
# A server of another version.
python3 - >"$work/other.log" <<'PY' &
import socket
with socket.create_server(("127.0.0.1", 0)) as s:
    print(s.getsockname()[1], flush=True)
    c, _ = s.accept()
    c.makefile().readline()
    c.sendall(b'{"ckptbench": 3, "version": "9.9"}\n')
    c.recv(1000)
PY
await '[0-9]' "$work/other.log"
timeout 30 "$bench" raw --connect="127.0.0.1:$(cat "$work/other.log")" --bytes=1MiB \
    >/dev/null 2>"$work/refused.log"
[ $? -eq 1 ] && grep -q 'version 3, ours 2' "$work/refused.log" || fail "a server of version 3"

# Busy; then the session's process is killed: the client ends, and the server takes another.
long() {
    client --repeat=1000 --reads=0 --bytes=64MiB --segment-bytes=64MiB >"$work/long.log" 2>&1
}
sessions=$(grep -c '^client .*[0-9]$' "$work/server.log")
long &
long=$!
await '^client .*[0-9]$' "$work/server.log" $((sessions + 1))
refused 1 'is busy with a client' --repeat=1
pkill -KILL -P "$server" || fail "no session"
wait $long && fail "a client outlives its source with success"
grep -q 'raw:' "$work/long.log" || fail "a client ends without a word"
client --repeat=1 >/dev/null || fail "no client after one whose session was killed"

# The client is killed, and then another is stopped: the session ends by itself.
for signal in KILL STOP; do
    sessions=$(grep -c '^client .*[0-9]$' "$work/server.log")
    ends=$(grep -c '^client .* after' "$work/server.log")
    "$bench" raw --connect="127.0.0.1:$port" --bytes=64MiB --repeat=1000 >"$work/long.log" 2>&1 &
    victim=$!
    await '^client .*[0-9]$' "$work/server.log" $((sessions + 1))
    sleep 1
    kill -$signal $victim
    await '^client .* after' "$work/server.log" $((ends + 1))
    kill -KILL $victim 2>/dev/null
    wait $victim 2>/dev/null
done
grep -q 'silent' "$work/server.log" || fail "a client that was stopped is not called silent"
end_server

# --once, and what the client says is what is served.
start_server --once
client --transport=ucx:shm --repeat=1 >/dev/null || fail "a client of --once"
wait "$server" || fail "--once does not end well"
server=
echo ok
