#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Trains a transformer with PyTorch and loses nodes meanwhile: scripts/demo_train.py has the story.
#
#   demo_train.sh [BIN]     folder with the programs (default: build/release/bin)
set -eu
cd "$(dirname "$0")/.."
bin=${1:-build/release/bin}
[ -e "${CKPT_VENV:-build/venv}/made-of" ] ||
    echo "Fetching PyTorch for the CPU, once (about 0.6 GB)..."
if ! venv=$(scripts/python_env.sh); then
    echo "$venv" >&2
    exit 77
fi
exec "$venv/bin/python" scripts/demo_train.py "$bin"
