#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No program or library looks for its libraries in the folder that somebody is in: an empty element
# of RUNPATH means that one.
#   runpaths.sh FILE...
set -eu
bad=0
[ "$#" -gt 0 ]
for file in "$@"; do
    paths=$(readelf --dynamic --wide "$file" | sed -n 's/.*(R\(UN\)\?PATH).*\[\(.*\)\]$/\2/p')
    case :$paths: in
    ::) ;;
    *::* | *:.:*) echo "$file: RUNPATH \"$paths\" has an empty element" >&2; bad=1 ;;
    esac
done
exit $bad
