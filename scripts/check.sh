#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything that must hold before a commit, from a fresh clone, with no state left by hand.
#
#   check.sh [STAGE]...      only these stages; see the end of this file
set -u
cd "$(dirname "$0")/.." || exit 1
LOGS=build/check
. scripts/stages.sh

SEEDS=${SEEDS:-2000}
FUZZ_SECONDS=${FUZZ_SECONDS:-60}

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
    scripts/build.sh asan "$JOBS"
    run_ctest asan -LE style -E 'sim_planted_bugs|integration_loss_(five|six)'
}

# Only what has threads: the rest was seen by asan. UCX replaces madvise() and others at run time,
# in threads that the sanitizer has not met yet; these tests do not need that. The two left out
# start processes by the hundred, and none of those has threads.
tsan() {
    scripts/build.sh tsan "$JOBS"
    UCX_MEM_EVENTS=n UCX_MEM_MMAP_HOOK_MODE=none \
        run_ctest tsan -L threads -LE integration -E 'test_arena_crash|test_transport_peer'
}

# Without the optional libraries, and optimised.
minimal() {
    scripts/build.sh minimal "$JOBS"
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
    scripts/build.sh minimal "$JOBS"
    build/minimal/bin/ckptsim_bugs --bugs --seeds 2000 --jobs "$JOBS"
    build/minimal/bin/ckptsim --seeds "$SEEDS" --jobs "$JOBS"
}

demo() {
    scripts/build.sh minimal "$JOBS"
    scripts/demo.sh build/minimal/bin
}

# Last of the Python part: what a person is shown.
demo_train() {
    scripts/build.sh dev "$JOBS"
    scripts/demo_train.sh build/dev/bin
}

wanted=${*:-deps venv style dev ucx slurm python demo-train asan tsan minimal fuzz tidy cppcheck\
    simulator demo}
for name in $wanted; do
    case $name in
    deps) stage deps scripts/deps.sh build optional demo test slurm vm roots ;;
    cppcheck) stage cppcheck cppcheck_ ;;
    python) stage python python_ ;;
    demo-train) stage demo-train demo_train ;;
    venv | style | dev | ucx | slurm | asan | tsan | minimal | fuzz | tidy | simulator | demo)
        stage "$name" "$name" ;;
    *) echo "check: there is no stage '$name'" >&2; exit 2 ;;
    esac
done
finish
