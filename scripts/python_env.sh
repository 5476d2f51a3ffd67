#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the virtual environment of the Python tests: PyTorch for the CPU and what else
# scripts/python_packages lists. About 0.6 GB to fetch, 1.6 GB on disk, once; done again only when
# the list changes.
#
#   python_env.sh           prints the folder: $CKPT_VENV, else build/venv
#
# Exits 77, with a line that says why, where the packages cannot be had.
set -eu
cd "$(dirname "$0")/.."
venv=${CKPT_VENV:-build/venv}
log=$venv.log
stamp=$(cat scripts/python_packages scripts/torch_without_cuda.py | cksum)

if [ "$(cat "$venv/made-of" 2>/dev/null)" = "$stamp" ]; then
    echo "$venv"
    exit 0
fi
skip() {
    echo "python: $1 (see $log)"
    exit 77
}
mkdir -p "$(dirname "$venv")"
: >"$log"
[ "$(uname -m)" = x86_64 ] || skip "the packages are pinned for x86-64, this is $(uname -m)"
python3 -m venv --clear "$venv" >>"$log" 2>&1 || skip "no venv: install python3-venv"
# The loader finds out by itself whether there is a network: pip gives up in a minute.
"$venv/bin/pip" install --quiet --disable-pip-version-check --retries 2 --timeout 20 --no-deps \
    --requirement scripts/python_packages >>"$log" 2>&1 ||
    skip "the packages of scripts/python_packages cannot be fetched: is there a network?"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$venv/bin/python" scripts/torch_without_cuda.py "$site" >>"$log" 2>&1
"$venv/bin/python" -c 'import torch; torch.ones(2).sum().item()' >>"$log" 2>&1
echo "$stamp" >"$venv/made-of"
echo "$venv"
