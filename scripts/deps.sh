#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages of scripts/packages that are missing.
#
#   deps.sh [GROUP]...      groups: build optional demo bench test slurm soak roots, by default all
#                           of these; vm
#
# As root it says what it installs and installs it; otherwise it prints the command and fails.
set -eu
cd "$(dirname "$0")/.."

if ! command -v dpkg-query >/dev/null; then
    echo "deps: no dpkg-query here: install what scripts/packages lists by other means" >&2
    exit 1
fi

wanted=${*:-build optional demo bench test slurm soak roots}
missing=''
named=$(awk -v wanted=" $wanted " '
    !/^#/ && NF && index(wanted, " " $1 " ") && !seen[$2]++ { print $2 }' scripts/packages)
for package in $named; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
    installed) ;;
    *) missing="$missing $package" ;;
    esac
done

if [ -z "$missing" ]; then
    echo "deps: everything is installed ($wanted)"
    exit 0
fi

command="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" -ne 0 ]; then
    echo "deps: these packages are missing; as root, run" >&2
    echo "    apt-get update && $command" >&2
    exit 1
fi
echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of packages
$command </dev/null
