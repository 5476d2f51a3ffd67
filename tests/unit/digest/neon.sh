#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The arm64 build of the digest: compiles with warnings as errors wherever there is a cross
# compiler, and passes the vectors wherever there is an emulator for it too.
# usage: neon.sh <source directory> <scratch directory>
set -eu

source=$1
scratch=$2
compiler=${CKPT_ARM64_CC:-aarch64-linux-gnu-gcc}

if ! command -v "$compiler" >/dev/null; then
    echo "skipped: there is no $compiler"
    exit 77
fi
mkdir -p "$scratch"
objects=
for file in digest engine fingerprint neon nh_neon nh_scalar poly1305 scalar stream tree; do
    "$compiler" -std=c17 -O3 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wshadow -Werror \
        -I"$source/src" -I"$source/include" \
        -c "$source/src/digest/$file.c" -o "$scratch/$file.o"
    objects="$objects $scratch/$file.o"
done
echo "compiled by $compiler"

for emulator in qemu-aarch64 qemu-aarch64-static; do
    command -v "$emulator" >/dev/null || continue
    # shellcheck disable=SC2086 # the objects are words
    "$compiler" -std=c17 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -static \
        -I"$source/src" -I"$source/include" -I"$source/tests" \
        "$source/tests/unit/digest/neon_main.c" $objects -o "$scratch/neon"
    # shellcheck disable=SC2093 # the first emulator ends the search
    exec "$emulator" "$scratch/neon"
done
echo "not run: there is no qemu-aarch64"
