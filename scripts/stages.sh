# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by check.sh and soak.sh: runs named stages, goes on after a failure, and ends with a table
# of times, what was skipped, what failed, and one line of sums.
#
#   stage NAME FUNCTION [ARGUMENT]...   the function's output goes to $LOGS/NAME.log. A stage that
#                                       calls run_ctest counts each test, any other counts as one.
#   lane NICENESS RUNNER NAME...        in the background, one after the other: RUNNER NAME, which
#                                       calls stage. Their lines come when they have ended.
#   await NAME                          waits for the end of a stage that a lane has, if any has
#   finish                              waits for the lanes, prints the table and exits

JOBS=${JOBS:-$(nproc)}
LOGS=${LOGS:?}
passed=0
failed=0
skipped=0
declare -a failures=() skips=() times=() failed_stages=() lanes=() lane_stages=()
in_lane=''
patient=''

rm -rf "$LOGS"
mkdir -p "$LOGS"

# run_ctest PRESET [CTEST-ARGUMENT]...: every test of a built preset. One more than there are cores,
# as most of them wait more than they compute.
run_ctest() {
    local preset=$1
    shift
    ctest --test-dir "build/$preset" --output-on-failure --no-tests=error \
        --output-junit "$PWD/$LOGS/$STAGE.xml" --parallel "$((JOBS + 1))" "$@"
}

# ucx_tests VERSION: the tests of the UCX transport of the dev preset over that version of UCX
# (scripts/ucx_env.sh), and one of the whole engine. 1.20 cannot connect over lo by TCP.
ucx_tests() {
    local lib devices=lo
    lib=$(scripts/ucx_env.sh "$1") || { status=$?; echo "$lib"; return "$status"; }
    if [ "${lib#*/ucx/1.20}" != "$lib" ]; then
        devices=$(ip -o -4 addr show up scope global | awk '{print $2; exit}')
        [ -n "$devices" ] || { echo "UCX 1.20 needs a network interface beside lo"; return 77; }
    fi
    # As pip and the library write the version: 1.17.0.post1 is 1.17.0.
    LD_LIBRARY_PATH=$lib build/dev/bin/ckptd --version | tee /dev/stderr |
        grep -q ", UCX $(echo "${lib%/libucx/lib}" | sed 's|.*/||; s/\.post.*//')\$" || return 1
    LD_LIBRARY_PATH=$lib CKPT_SUITE_DEVICES=$devices run_ctest dev \
        -R '^(test_(transport_(fault_ucx|ucx|peer)|ckptbench_bridge)|integration_save_restore)'
}

# Adds up one JUnit file of ctest: "passed failed skipped", then a line for each test of note.
count_ctest() {
    awk -v RS='<testcase ' 'NR > 1 {
        name = $0; sub(/^[^"]*"/, "", name); sub(/".*/, "", name)
        if ($0 ~ /<failure/) { f++; notes = notes "failed " name "\n" }
        else if ($0 ~ /<skipped|status="notrun"|status="disabled"/) {
            s++; notes = notes "skipped " name "\n"
        } else { p++ }
    } END { printf "%d %d %d\n%s", p, f, s, notes }' "$1"
}

stage() {
    STAGE=$1
    shift
    local begin=$SECONDS status=0
    # Not with ||: that would switch -e off inside.
    ( set -e; "$@" ) >"$LOGS/$STAGE.log" 2>&1 </dev/null
    status=$?
    echo "$status $((SECONDS - begin))" >"$LOGS/$STAGE.new"
    mv "$LOGS/$STAGE.new" "$LOGS/$STAGE.ended"
    if [ -z "$in_lane" ]; then
        tell
    fi
}

# Each lane is a process group of its own, which ends with this one.
lane() {
    local niceness=$1 runner=$2 name
    shift 2
    [ $# -gt 0 ] || return 0
    lane_stages+=("$@")
    set -m
    (
        in_lane=yes
        renice -n "$niceness" -p "$BASHPID" >/dev/null
        for name in "$@"; do "$runner" "$name"; done
    ) </dev/null &
    set +m
    lanes+=($!)
    if [ "$niceness" -gt 0 ]; then patient=$!; fi
}

# hurry NICENESS: of the lane that waits for the others, for as long as they wait for it. Only root
# may say less than before.
hurry() {
    [ -z "$patient" ] || [ -n "$in_lane" ] || renice -n "$1" -g "$patient" >/dev/null 2>&1 || true
}

end_lanes() {
    local process
    for process in "${lanes[@]}"; do kill -- "-$process" 2>/dev/null; done
}
trap end_lanes EXIT
trap 'exit 130' INT TERM HUP

await() {
    [[ " ${lane_stages[*]} " == *" $1 "* ]] || return 0
    while [ ! -e "$LOGS/$1.ended" ]; do sleep 1; done
}

# The stages that have ended and were not told of, the one that ended first first.
tell() {
    local file
    while read -r file; do
        tell_stage "$(basename "$file" .ended)" "$file"
        mv "$file" "${file%.ended}.told"
    done < <(ls -tr "$LOGS"/*.ended 2>/dev/null)
}

tell_stage() {
    local status took what name STAGE=$1
    read -r status took <"$2"
    printf '%-14s ' "$STAGE"
    times+=("$(printf '%-14s %4d s' "$STAGE" "$took")")

    if [ -s "$LOGS/$STAGE.xml" ]; then
        local p f s
        { read -r p f s
          while read -r what name; do
              if [ "$what" = failed ]; then failures+=("$STAGE: $name"); fi
              if [ "$what" = skipped ]; then skips+=("$STAGE: $name"); fi
          done; } < <(count_ctest "$LOGS/$STAGE.xml")
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
        printf '%4d s   %d passed, %d failed, %d skipped\n' "$took" "$p" "$f" "$s"
        # The tests are well and the stage is not: something around them failed.
        if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
            failed=$((failed + 1))
            failures+=("$STAGE: exit status $status")
        fi
    elif [ "$status" -eq 77 ]; then
        skipped=$((skipped + 1))
        skips+=("$STAGE: $(tail -n 1 "$LOGS/$STAGE.log")")
        printf '%4d s   skipped: %s\n' "$took" "$(tail -n 1 "$LOGS/$STAGE.log")"
        return 0
    elif [ "$status" -ne 0 ]; then
        failed=$((failed + 1))
        failures+=("$STAGE: exit status $status")
        printf '%4d s   FAILED\n' "$took"
    else
        passed=$((passed + 1))
        printf '%4d s   ok   %s\n' "$took" "$(tail -n 1 "$LOGS/$STAGE.log" | cut -c1-70)"
    fi
    if [ "$status" -ne 0 ]; then
        failed_stages+=("$STAGE")
        echo "---- the end of $LOGS/$STAGE.log"
        grep -vE '^ +Start +[0-9]+:|\.\. +Passed +|^\[[0-9]+/[0-9]+\] (Build|Link|Generat)ing' \
            "$LOGS/$STAGE.log" | tail -n "${TAIL:-120}"
        echo "----"
    fi
}

# What a log says of why: pytest's "E", the exception that ended a test, what a compiler or a
# sanitizer found. The ends of long logs are often cut off by whoever shows them; this comes last.
why_failed() {
    local what='^E  |^(\w+\.)*\w*(Error|Failure|Exception)\b|\berror: |runtime error|ERROR: '
    grep -hE "$what|NOT CAUGHT|VIOLATION" \
        "$LOGS/$1.log" | cut -c1-300 | awk '!seen[$0]++' | head -n 15
}

finish() {
    local process name
    hurry 0
    for process in "${lanes[@]}"; do wait "$process"; done
    tell
    for name in "${lane_stages[@]}"; do
        if [ ! -e "$LOGS/$name.told" ]; then
            failed=$((failed + 1))
            failures+=("$name: it did not end")
        fi
    done
    echo
    printf '%s\n' "${times[@]}"
    printf '%-14s %4d s\n' total "$SECONDS"
    if [ "${#skips[@]}" -gt 0 ]; then
        echo
        printf 'skipped  %s\n' "${skips[@]}"
    fi
    if [ "${#failures[@]}" -gt 0 ]; then
        echo
        printf 'FAILED   %s\n' "${failures[@]}"
        for name in "${failed_stages[@]}"; do
            echo
            echo "$name says:"
            why_failed "$name"
        done
    fi
    echo
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}
