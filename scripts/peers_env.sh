#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the virtual environment of bench/peers.py: the wheels that scripts/peers_packages lists, on
# top of build/venv. About 0.2 GB to fetch, once; done again only when a list changes.
#
#   peers_env.sh            prints the folder, build/peers-venv
#
# Exits 77, with a line that says why, where the packages cannot be had.
set -eu
cd "$(dirname "$0")/.."
venv=build/peers-venv
log=$venv.log
base=$(scripts/python_env.sh) || { status=$?; echo "$base"; exit "$status"; }
stamp=$(cat scripts/peers_packages "$base/made-of" | cksum)

if [ "$(cat "$venv/made-of" 2>/dev/null)" = "$stamp" ]; then
    echo "$venv"
    exit 0
fi
python3 -m venv --clear "$venv" >"$log" 2>&1 || {
    echo "peers: no venv: install python3-venv"
    exit 77
}
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$base/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/base.pth"
"$venv/bin/pip" install --quiet --disable-pip-version-check --retries 2 --timeout 20 --no-deps \
    --requirement scripts/peers_packages >>"$log" 2>&1 || {
    echo "peers: the packages of scripts/peers_packages cannot be fetched: is there a network?"
    exit 77
}
echo "$stamp" >"$venv/made-of"
echo "$venv"
