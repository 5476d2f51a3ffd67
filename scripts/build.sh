#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Configures and builds one preset; one process at a time does.
#
#   build.sh PRESET[:TARGET] JOBS [-DNAME=VALUE]...
set -eu
cd "$(dirname "$0")/.."
preset=${1%:*}
target=${1#"$preset"}
jobs=$2
shift 2

log=build/$preset/configure.log
mkdir -p "build/$preset"
exec 9>"build/$preset/lock"
flock 9
if ! cmake --preset "$preset" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "build: configuring '$preset' failed; 'make deps' installs what is missing" >&2
    exit 1
fi
exec cmake --build --preset "$preset" --parallel "$jobs" \
    ${target:+--target "${target#:}"}
