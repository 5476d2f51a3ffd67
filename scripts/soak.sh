#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The long form of check.sh, some hours: run it before a release and overnight.
#
#   soak.sh [STAGE]...      only these stages; see the end of this file
#
# SEEDS (100000), START (1), FUZZ_SECONDS (600 a decoder), ROUNDS (20) shorten or move it.
set -u
cd "$(dirname "$0")/.." || exit 1
LOGS=build/soak
. scripts/stages.sh

SEEDS=${SEEDS:-100000}
START=${START:-1}
FUZZ_SECONDS=${FUZZ_SECONDS:-600}
ROUNDS=${ROUNDS:-20}

simulator() {
    scripts/build.sh release "$JOBS"
    build/release/bin/ckptsim --seeds "$SEEDS" --start "$START" --jobs "$JOBS" --keep-going
}

# The judges can fail: each planted bug is caught.
planted() {
    scripts/build.sh release "$JOBS"
    build/release/bin/ckptsim_bugs --bugs --seeds 2000 --jobs "$JOBS"
}

# One decoder a core at a time. What is found new stays in build/fuzz/found.
fuzz() {
    scripts/build.sh fuzz "$JOBS"
    local program
    for program in build/fuzz/bin/fuzz_*; do
        mkdir -p "build/fuzz/found/${program##*/}" "tests/fuzz/corpus/${program##*/}"
        echo "${program##*/}"
    done | xargs -P "$JOBS" -I{} sh -c "build/fuzz/bin/{} -max_total_time=$FUZZ_SECONDS \
        -artifact_prefix=build/fuzz/found/{}- -print_final_stats=1 -verbosity=0 \
        build/fuzz/found/{} tests/fuzz/corpus/{} >$LOGS/{}.log 2>&1 ||
        { echo '{} failed'; tail -n 40 $LOGS/{}.log; exit 255; }"
    grep -H 'number_of_executed_units' "$LOGS"/fuzz_*.log
}

# Uninstrumented, optimised code. Not what starts other processes by the dozen, not UCX, whose own
# memory valgrind does not understand; not the kernels, whose threads are fibers with stacks of
# their own, which AddressSanitizer is told of; and not the opening of arenas: valgrind moves the
# limit of open files, and knows no mlock2().
valgrind_() {
    scripts/build.sh release "$JOBS"
    local test tests=() bad=0
    for test in build/release/tests/test_*; do
        case ${test##*/} in
        test_transport_*ucx* | test_transport_peer_* | test_ckpt*) ;;
        test_arena_crash | test_arena_open | test_kernels_*) ;;
        *) [ -x "$test" ] && [ ! -d "$test" ] && tests+=("$test") ;;
        esac
    done
    for test in "${tests[@]}"; do
        echo "== ${test##*/}"
        timeout 1800 valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite \
            --error-exitcode=99 "$test" >"$LOGS/valgrind.out" 2>&1 ||
            { status=$?; [ "$status" -eq 77 ] || { cat "$LOGS/valgrind.out"; bad=$((bad + 1)); }; }
    done
    echo "${#tests[@]} programs, $bad with errors"
    [ "$bad" -eq 0 ]
}

# What kills, stops and corrupts real processes, again and again.
faults() {
    scripts/build.sh dev "$JOBS"
    CKPT_SOAK=1 ctest --test-dir build/dev --output-on-failure --no-tests=error \
        --repeat "until-fail:$ROUNDS" \
        --timeout 3600 \
        -R 'integration|test_arena_crash|test_transport_peer|test_store_age|test_ckpt'
}

# Ordinary trouble, with the settings that ship: restarts, stalls, losses, flips, a full disk.
# CHAOS_SEEDS (10) seeds of CHAOS_MINUTES (10).
chaos() {
    scripts/build.sh release "$JOBS"
    local seed bad=0 seeds=${CHAOS_SEEDS:-10} minutes=${CHAOS_MINUTES:-10}
    for ((seed = START; seed < START + seeds; seed++)); do
        CKPT_BIN=build/release/bin python3 tests/chaos/chaos.py --seed "$seed" \
            --minutes "$minutes" >"$LOGS/chaos_$seed.log" 2>&1 ||
            { bad=$((bad + 1)); echo "seed $seed:"; grep VIOLATION "$LOGS/chaos_$seed.log"; }
    done
    echo "$seeds seeds of $minutes minutes, $bad with violations"
    [ "$bad" -eq 0 ]
}

# A real Slurm of each Debian, in full.
slurm() {
    scripts/build.sh dev "$JOBS"
    scripts/debian_root.sh trixie build/roots/trixie build slurm
    run_ctest dev -L slurm
}

# Soft-RoCE in virtual machines, with what only measures.
machines() {
    scripts/deps.sh vm
    scripts/build.sh dev "$JOBS"
    ctest --test-dir build/dev --output-on-failure --no-tests=error -L vm
}

# The same binaries over each version of UCX that there is.
ucx_version() {
    scripts/build.sh dev "$JOBS"
    ucx_tests "$1"
}

# A clone of what is committed, to be built in another Debian: prints its folder.
clone_for() {
    local folder=build/clones/$1
    rm -rf "$folder"
    git clone --quiet . "$folder"
    echo "$folder"
}

# What a person does on a fresh Debian 13: the demo, then the tests that need no other Debian.
debian13() {
    local root clone
    root=$(scripts/debian_root.sh trixie build/roots/trixie-whole build optional demo test) ||
        { status=$?; echo "$root"; return "$status"; }
    clone=$(clone_for debian13)
    "$clone/scripts/root_run.sh" "$root" make demo
    "$clone/scripts/root_run.sh" "$root" scripts/check.sh style dev asan minimal fuzz tidy cppcheck
}

# Packages of both Debians, each installed, used and removed in a root that has nothing else.
packages() {
    local suite root clone
    for suite in bookworm trixie; do
        root=$(scripts/debian_root.sh "$suite" "build/roots/$suite-build" \
            build optional packages) || { status=$?; echo "$root"; return "$status"; }
        clone=$(clone_for "packages-$suite")
        "$clone/scripts/root_run.sh" "$root" scripts/packages.sh
        root=$(scripts/debian_root.sh "$suite" "build/roots/$suite-bare")
        "$clone/scripts/root_run.sh" "$root" scripts/packages_check.sh build/packages
    done
}

# Training states at random: what comes back is what was saved.
states() {
    scripts/build.sh release "$JOBS"
    local venv
    venv=$(scripts/python_env.sh) || return
    CKPT_BIN=$PWD/build/release/bin CKPT_PROPERTY_CASES=10000 "$venv/bin/python" -m pytest \
        python/tests/test_property.py -c python/pyproject.toml
}

demos() {
    scripts/build.sh release "$JOBS"
    local round
    for ((round = 1; round <= ROUNDS; round++)); do
        scripts/demo.sh >"$LOGS/demo.log" 2>&1 || { cat "$LOGS/demo.log"; return 1; }
    done
    echo "$ROUNDS demos"
}

wanted=${*:-deps simulator planted fuzz valgrind faults chaos slurm machines ucx states\
    debian13 packages demos}
for name in $wanted; do
    case $name in
    deps) stage deps scripts/deps.sh ;;
    valgrind) stage valgrind valgrind_ ;;
    ucx) for version in $(scripts/ucx_env.sh --list); do
             stage "ucx-$version" ucx_version "$version"
         done ;;
    simulator | planted | fuzz | faults | chaos | slurm | machines | states | debian13 | packages |\
        demos)
        stage "$name" "$name" ;;
    *) echo "soak: there is no stage '$name'" >&2; exit 2 ;;
    esac
done
finish
