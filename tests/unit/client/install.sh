#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the library into an empty prefix and builds a consumer of it, by pkg-config and by
# find_package, each of which must run.
#   install.sh CMAKE CC BUILD_DIRECTORY VERSION
set -eu
cmake=$1 cc=$2 build=$3 version=$4
command -v pkg-config >/dev/null || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

for component in library dev; do
    "$cmake" --install "$build" --component "$component" --prefix "$prefix" >"$work/log" || {
        cat "$work/log" >&2
        exit 1
    }
done
pc=$(find "$prefix" -name ckpt.pc)
libraries=$(dirname "$(dirname "$pc")")
test -h "$libraries/libckpt.so"
test -e "$libraries/libckpt.so.0"

cat >"$work/consumer.c" <<'C'
#include <stdio.h>

#include <ckpt/ckpt.h>

int main(void)
{
    struct ckpt_options options = {
        .size = sizeof(options), .run = "r", .world = 1, .socket = "/no"};
    struct ckpt *ckpt;
    puts(ckpt_version());
    return ckpt_open(&options, &ckpt) == CKPT_ERR_NO_AGENT ? 0 : 1;
}
C

# The prefix in the file is the one of the configuration; pkg-config moves it to where the file is.
flags=$(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --define-prefix --cflags --libs ckpt)
# shellcheck disable=SC2086 # flags are words
"$cc" -o "$work/by_pkg_config" "$work/consumer.c" $flags
[ "$(LD_LIBRARY_PATH=$libraries "$work/by_pkg_config")" = "$version" ]
[ "$(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --modversion ckpt)" = "$version" ]

# The command that docs/c-api.md gives, as it stands there.
source=$(cd "$(dirname "$0")/../../.." && pwd)
mkdir "$work/bin" "$work/example"
real=$(command -v pkg-config)
printf '#!/bin/sh\nexec %s --define-prefix "$@"\n' "$real" >"$work/bin/pkg-config"
printf '#!/bin/sh\nexec %s "$@"\n' "$cc" >"$work/bin/cc"
chmod +x "$work/bin/cc" "$work/bin/pkg-config"
cp "$source/docs/examples/trainer.c" "$work/example"
command=$(sed -n 's/^    \(cc trainer.c .*\)/\1/p' "$source/docs/c-api.md")
[ -n "$command" ]
(cd "$work/example" && PATH=$work/bin:$PATH PKG_CONFIG_PATH=$(dirname "$pc") sh -c "$command")
LD_LIBRARY_PATH=$libraries "$work/example/a.out" --help | grep -q -- --save-every

cat >"$work/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(consumer C)
find_package(ckpt REQUIRED)
add_executable(by_find_package consumer.c)
target_link_libraries(by_find_package PRIVATE ckpt::ckpt)
CMAKE
"$cmake" -S "$work" -B "$work/build" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" \
    >"$work/log" 2>&1 && "$cmake" --build "$work/build" >>"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 1
}
[ "$("$work/build/by_find_package")" = "$version" ]
