#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What no daemon is linked with, nor names so that it might open it: the trainer's side's libraries.
#   apart.sh LIBRARY,LIBRARY... FILE...      a library by what its name begins with
set -eu
libraries=$1
shift
[ "$#" -gt 0 ]
bad=0
for file in "$@"; do
    for library in $(printf '%s' "$libraries" | tr , ' '); do
        if readelf --dynamic --wide "$file" | grep -q "(NEEDED).*\[$library"; then
            echo "$file is linked with $library" >&2
            bad=1
        elif grep -qa "$library" "$file"; then
            echo "$file names $library" >&2
            bad=1
        fi
    done
done
exit $bad
