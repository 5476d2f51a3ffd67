#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetches one of the versions of UCX that scripts/ucx_wheels lists, for tests, into build/ucx. About
# 25 to 45 MB, once. One binary runs with it by LD_LIBRARY_PATH.
#
#   ucx_env.sh VERSION      prints the folder of its libraries; "newest" is the first of the list
#   ucx_env.sh --list       prints the versions
#
# Exits 77, with a line that says why, where it cannot be had.
set -eu
cd "$(dirname "$0")/.."
versions=$(sed -n 's/^libucx-cu12==\([^ ]*\) .*/\1/p' scripts/ucx_wheels)
if [ "$1" = --list ]; then
    echo "$versions"
    exit 0
fi
version=$1
[ "$version" != newest ] || version=$(echo "$versions" | head -n 1)
folder=build/ucx/$version
log=$folder.log
skip() {
    echo "ucx $version: $1 (see $log)"
    exit 77
}
if [ ! -e "$folder/libucx/lib/libucp.so.0" ]; then
    mkdir -p build/ucx
    : >"$log"
    [ "$(uname -m)" = x86_64 ] || skip "the wheels are pinned for x86-64, this is $(uname -m)"
    grep "^libucx-cu12==$version " scripts/ucx_wheels >"$folder.pinned" || skip "it is not listed"
    [ -x build/ucx/venv/bin/pip ] || python3 -m venv --clear build/ucx/venv >>"$log" 2>&1 ||
        skip "no venv: install python3-venv"
    rm -rf "$folder.part"
    build/ucx/venv/bin/pip install --quiet --disable-pip-version-check --retries 2 --timeout 20 \
        --no-deps --require-hashes --target "$folder.part" --requirement "$folder.pinned" \
        >>"$log" 2>&1 || skip "the wheel cannot be fetched: is there a network?"
    find "$folder.part" -name '*.a' -delete # four fifths of its size
    mv "$folder.part" "$folder"
fi
echo "$PWD/$folder/libucx/lib"
