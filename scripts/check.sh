#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything that must hold before a commit, from a fresh clone, with no state left by hand.
#
#   check.sh [STAGE]...      only these stages; see the end of this file, which also says what runs
#                            beside what
set -u
cd "$(dirname "$0")/.." || exit 1
LOGS=build/check
. scripts/stages.sh

SEEDS=${SEEDS:-2000}
FUZZ_SECONDS=${FUZZ_SECONDS:-60}

# A preset that the patient lane may be building.
build() {
    hurry 0
    scripts/build.sh "$1" "$JOBS"
    hurry 19
}

style() {
    python3 tests/style/tidy.py --self-test
    python3 tests/style/tidy.py
    git ls-files .ci/run '*.sh' | xargs shellcheck --severity=warning --external-sources
    echo "style holds"
}

# The whole suite with all warnings as errors; the planted bugs are in the stage simulator, and what
# only measures in soak.sh.
dev() {
    scripts/build.sh dev "$JOBS"
    await venv
    run_ctest dev -LE slurm -E 'sim_planted_bugs|vm_bandwidth|vm_transport_bars'
}

# The same binaries over the newest UCX; `dev` runs over the distribution's.
ucx() {
    scripts/build.sh dev "$JOBS"
    ucx_tests newest
}

# A real Slurm, its nodes as namespaces, with jobs that save and are killed: this machine's, and
# that of Debian 13, whose tests are skipped where no network has it.
slurm() {
    scripts/build.sh dev "$JOBS"
    scripts/debian_root.sh trixie build/roots/trixie build slurm || [ $? -eq 77 ]
    run_ctest dev -L slurm -E slurm_24_service
}

# The virtual environments that `python` and one test of `dev` use; skipped without a network.
venv() {
    scripts/python_env.sh
    scripts/layered_env.sh jax
    scripts/layered_env.sh s3
}

# The Python package on real daemons. Skipped where its environment cannot be made.
python_() {
    local venv
    venv=$(scripts/layered_env.sh jax) || { status=$?; echo "$venv"; return "$status"; }
    scripts/build.sh dev "$JOBS"
    CKPT_BIN=$PWD/build/dev/bin "$venv/bin/python" -m pytest python/tests -c python/pyproject.toml \
        --junit-xml="$PWD/$LOGS/$STAGE.xml"
}

# Without what takes minutes here, and only kills more of the same processes than its neighbours.
asan() {
    build asan
    run_ctest asan -LE style -E 'sim_planted_bugs|integration_loss_(five|six)'
}

# Only what has threads: the rest was seen by asan. UCX replaces madvise() and others at run time,
# in threads that the sanitizer has not met yet; these tests do not need that. Two are left out
# that start processes by the hundred, none of which has threads, and one that counts page faults
# and mappings: the sanitizer has its own.
tsan() {
    build tsan:threads
    UCX_MEM_EVENTS=n UCX_MEM_MMAP_HOOK_MODE=none \
        run_ctest tsan -L threads -LE integration \
        -E 'test_arena_crash|test_transport_peer|test_client_prepare'
}

# Without the optional libraries, and optimised.
minimal() {
    build minimal
    run_ctest minimal -LE 'style|sim|integration|slurm'
}

# The second compiler, and each decoder over its corpus and for a few seconds beyond.
fuzz() {
    scripts/build.sh fuzz "$JOBS"
    local targets=(tests/fuzz/corpus/*/) target name
    for target in "${targets[@]}"; do
        name=$(basename "$target")
        echo "== $name"
        mkdir -p "build/fuzz/found/$name"
        "build/fuzz/bin/$name" -runs=0 "$target" || return 1
        "build/fuzz/bin/$name" -max_total_time=$((FUZZ_SECONDS / ${#targets[@]} + 1)) \
            -artifact_prefix="build/fuzz/found/$name-" -print_final_stats=1 \
            "build/fuzz/found/$name" "$target" || return 1 # libFuzzer's own 77 is no skip
    done 2>&1
    echo "${#targets[@]} decoders"
}

tidy() {
    scripts/build.sh dev "$JOBS"
    scripts/check_tidy.sh "$JOBS"
}

# uninitvar: cppcheck reads inline functions with outputs wrongly; the compilers look for the same.
# normalCheckLevelMaxBranches: later versions say that they do not look everywhere.
cppcheck_() {
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
        --suppress=uninitvar --suppress=legacyUninitvar \
        --suppress=normalCheckLevelMaxBranches --error-exitcode=1 -j "$JOBS" \
        -D_GNU_SOURCE -Isrc -Iinclude src
    git ls-files 'src/*.c' | wc -l
}

simulator() {
    build minimal
    build/minimal/bin/ckptsim_bugs --bugs --seeds 2000 --jobs "$JOBS"
    build/minimal/bin/ckptsim --seeds "$SEEDS" --jobs "$JOBS"
}

demo() {
    build minimal
    scripts/demo.sh build/minimal/bin
}

# Last of the Python part: what a person is shown.
demo_train() {
    scripts/build.sh dev "$JOBS"
    scripts/demo_train.sh build/dev/bin
}

# What is built later is built before, by what the tests leave of the processors.
ahead() {
    local preset
    for preset in $later; do scripts/build.sh "${preset/tsan/tsan:threads}" "$JOBS"; done
}

run() {
    case $1 in
    deps) stage deps scripts/deps.sh build optional demo test slurm vm roots ;;
    cppcheck) stage cppcheck cppcheck_ ;;
    python) stage python python_ ;;
    demo-train) stage demo-train demo_train ;;
    *) stage "$1" "$1" ;;
    esac
}

# of NAME...: those of them that are wanted.
of() {
    local name
    for name in "$@"; do [[ " $wanted " != *" $name "* ]] || echo "$name"; done
}

# What is tested in three lanes beside each other. The first has what needs the machine's time to be
# its own most. The second mostly waits: for the network, for Slurm, for one trainer after the
# other. The third only computes, by what the other two leave of the processors.
first='style dev ucx asan tsan minimal demo'
second='venv slurm python demo-train'
third='ahead tidy cppcheck simulator fuzz'

wanted=" ${*:-deps $first $second tidy cppcheck simulator fuzz} "
for name in $wanted; do
    [[ " deps $first $second tidy cppcheck simulator fuzz " == *" $name "* ]] ||
        { echo "check: there is no stage '$name'" >&2; exit 2; }
done
later=$(of asan tsan minimal)
if [ -n "$later" ]; then wanted+='ahead '; fi

for name in $(of deps); do run "$name"; done
# shellcheck disable=SC2046 # names are words
{
    lane 0 run $(of $second)
    lane 19 run $(of $third)
}
for name in $(of $first); do run "$name"; done
finish
