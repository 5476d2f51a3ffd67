#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What libckpt_fanout.so exports, what its version script lists and what its header declares are the
# same functions; and it is linked with no CUDA and no NCCL.
#   symbols.sh LIBRARY MAP HEADER
set -eu
library=$1 map=$2 header=$3
exported=$(nm -D --defined-only --with-symbol-versions "$library" |
    sed -n 's/^[0-9a-f]* [TWDBR] \(.*\)@@CKPT_FANOUT_0\.1$/\1/p' | sort)
all=$(nm -D --defined-only "$library" | grep -c ' [TWDBR] ' || true)
mapped=$(sed -n 's/^ *\(ckpt_[a-z_]*\);$/\1/p' "$map" | sort)
declared=$(grep -v '^#' "$header" | tr '\n' ' ' | grep -o 'CKPT_FANOUT_API [^;(]*(' |
    sed 's/.*[ *]\(ckpt_[a-z_]*\)(/\1/' | sort)
count=$(echo "$exported" | wc -l)
if [ "$exported" != "$mapped" ] || [ "$exported" != "$declared" ] || [ "$count" -ne "$all" ] ||
    [ "$count" -lt 9 ]; then
    printf 'exported:\n%s\nmapped:\n%s\ndeclared:\n%s\nall: %s\n' "$exported" "$mapped" \
        "$declared" "$all" >&2
    exit 1
fi
if readelf --dynamic --wide "$library" | grep 'NEEDED' | grep -E 'cuda|cudart|nccl'; then
    echo "the libraries above are linked, and must be opened" >&2
    exit 1
fi
