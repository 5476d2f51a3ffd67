#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What libckpt.so exports, what its version script lists and what the public headers declare are the
# same functions; and each status that the library names is in ckpt.h.
#   symbols.sh LIBRARY MAP INCLUDE_DIRECTORY SOURCE_DIRECTORY
set -eu
library=$1 map=$2 include=$3 source=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --defined-only --with-symbol-versions "$library" |
    sed -n 's/^[0-9a-f]* [TWDBR] //p' | sort >"$work/versioned"
if grep -v '@@CKPT_0\.1$' "$work/versioned"; then
    echo "the symbols above have no version of ours" >&2
    exit 1
fi
sed 's/@.*//' "$work/versioned" >"$work/exported"
sed -n 's/^ *\(ckpt_[a-z_]*\);$/\1/p' "$map" | sort >"$work/mapped"
grep -hv '^#' "$include"/ckpt/*.h | tr '\n' ' ' |
    grep -o 'CKPT_API [^;(]*(' |
    sed 's/.*[ *]\(ckpt_[a-z_]*\)(/\1/' | sort >"$work/declared"
for other in mapped declared; do
    diff "$work/exported" "$work/$other" || {
        echo "what is exported (<) and what is $other (>) differ" >&2
        exit 1
    }
done
[ "$(wc -l <"$work/exported")" -ge 20 ] || {
    echo "too few symbols: the test is broken" >&2
    exit 1
}

# Statuses that the code gives by name must be in the man page that the header is. "_DIGEST" in a
# list stands for CKPT_ERR_DIGEST.
grep -rho 'CKPT_ERR_[A-Z_]*' "$source" | sort -u >"$work/used"
tr '\n' ' ' <"$include/ckpt/ckpt.h" | sed 's/ \* / /g' |
    grep -o '_[A-Z][A-Z_]*' | sed 's/^_ERR//; s/^/CKPT_ERR/' | sort -u >"$work/words"
# CKPT_ERR_LINK is the inside's word for CKPT_ERR_NO_AGENT.
if grep -vx CKPT_ERR_LINK "$work/used" | grep -vxFf "$work/words"; then
    echo "libckpt gives the statuses above and ckpt.h does not say so" >&2
    exit 1
fi
