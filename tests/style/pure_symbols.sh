#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails when an archive of a pure room reaches for anything but memory, text in memory and assert:
# no clock, no allocation, no I/O, no randomness, no thread; or when it has variables outside
# functions.
#
#   pure_symbols.sh ARCHIVE... [-- ARCHIVE...]
#
# The archives after -- are rooms that the first ones link and that are not pure as a whole: of
# those only the members that are reached are judged, and what these reach in turn.
set -eu

allowed='^(mem(cpy|set|cmp|move|chr)|str(len|nlen|cmp|ncmp|cpy|chr)|v?snprintf'
allowed="$allowed|__assert_fail|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_"
allowed="$allowed|__(memcpy|memset|memmove|strcpy|v?snprintf)_chk)\$"

judged=''
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    judged="$judged $1"
    shift
done
[ $# -eq 0 ] || shift
[ -n "$judged" ] || { echo "usage: $0 ARCHIVE... [-- ARCHIVE...]" >&2; exit 2; }
for archive in $judged "$@"; do
    [ -s "$archive" ] || { echo "$archive: missing or empty" >&2; exit 2; }
done

# Each line: first or second kind of archive, archive:member, U or defined, symbol.
table() {
    kind=$1
    shift
    for archive in "$@"; do
        nm -A "$archive" 2>/dev/null | awk -v kind="$kind" '{
            sub(/:[^:]*$/, "", $1)
            print kind, $1, ($(NF - 1) == "U" ? "U" : "defined"), $NF
        }'
    done
}

# shellcheck disable=SC2086 # a list of archives
reached=$({ table judged $judged; table linked "$@"; } | awk -v allowed="$allowed" '
    { kinds[$2] = $1 }
    $3 == "defined" { home[$4] = $2 }
    $3 == "U" { needs[$2] = needs[$2] " " $4 }
    END {
        for (member in kinds) {
            if (kinds[member] == "judged") { queue[++last] = member; seen[member] = 1 }
        }
        if (last == 0) { print "no object files in the archives" }
        for (at = 1; at <= last; at++) {
            count = split(needs[queue[at]], symbols, " ")
            for (i = 1; i <= count; i++) {
                s = symbols[i]
                if (s in home) {
                    if (!(home[s] in seen)) { seen[home[s]] = 1; queue[++last] = home[s] }
                } else if (s !~ allowed) {
                    print queue[at] " uses " s
                }
            }
        }
    }')

# shellcheck disable=SC2086
variables=$(objdump -t $judged | awk '/ O \.(data|bss)[ \t]/ || / O \*COM\*/ {
    print "variable outside functions: " $NF
}')

if [ -n "$reached$variables" ]; then
    printf '%s\n' "not pure:" "$reached" "$variables" | sed '/^$/d' >&2
    exit 1
fi
