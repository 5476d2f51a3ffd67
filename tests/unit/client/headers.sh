#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each public header compiles alone, as C and as C++, of old and of new standards.
#   headers.sh CC CXX INCLUDE_DIRECTORY
set -eu
cc=$1 cxx=$2 include=$3
count=0
for header in "$include"/ckpt/*.h; do
    name=ckpt/$(basename "$header")
    for standard in c99 c17; do
        echo "#include <$name>" |
            "$cc" -x c -std=$standard -I"$include" -Wall -Wextra -pedantic -Werror -fsyntax-only -
    done
    for standard in c++11 c++17; do
        echo "#include <$name>" |
            "$cxx" -x c++ -std=$standard -I"$include" -Wall -Wextra -pedantic -Werror \
                -fsyntax-only -
    done
    count=$((count + 1))
done
[ "$count" -ge 3 ]
