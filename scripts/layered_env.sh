#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a virtual environment on top of build/venv, with what a list pins; done again only when a
# list changes. Prints its folder.
#
#   layered_env.sh jax      build/venv-jax, of scripts/python_jax: 0.3 GB to fetch
#   layered_env.sh beside   build/venv-beside, of scripts/python_beside: 0.2 GB
#   layered_env.sh s3       build/venv-s3, of scripts/python_s3: 0.1 GB
#
# Exits 77, with a line that says why, where the packages cannot be had.
set -eu
cd "$(dirname "$0")/.."
name=${1:?which environment: jax, beside or s3}
list=scripts/python_$name
venv=build/venv-$name
log=$venv.log
[ -r "$list" ] || { echo "layered_env: there is no $list" >&2; exit 2; }
base=$(scripts/python_env.sh) || { status=$?; echo "$base"; exit "$status"; }
stamp=$(cat "$list" "$base/made-of" | cksum)

if [ "$(cat "$venv/made-of" 2>/dev/null)" = "$stamp" ]; then
    echo "$venv"
    exit 0
fi
python3 -m venv --clear "$venv" >"$log" 2>&1 || {
    echo "python: no venv: install python3-venv"
    exit 77
}
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$base/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/base.pth"
"$venv/bin/pip" install --quiet --disable-pip-version-check --retries 2 --timeout 20 --no-deps \
    --requirement "$list" >>"$log" 2>&1 || {
    echo "python: the packages of $list cannot be fetched: is there a network? (see $log)"
    exit 77
}
echo "$stamp" >"$venv/made-of"
echo "$venv"
