#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy over our sources, each once, with the flags of the dev preset; .clang-tidy says what is
# looked for.
#
#   check_tidy.sh JOBS [FILE]...
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=$1
shift

# A file that several programs compile is there several times, also without assertions: the first
# will do. Options that only gcc knows are left out.
mkdir -p build/tidy
python3 - <<'END'
import json

first = {}
with open("build/dev/compile_commands.json", encoding="utf-8") as file:
    for entry in json.load(file):
        for option in ("-fno-schedule-insns2", "-fno-tree-ter"):
            entry["command"] = entry["command"].replace(option, "")
        if "NDEBUG" not in entry["command"] and "PLANTED" not in entry["command"]:
            first.setdefault(entry["file"], entry)
with open("build/tidy/compile_commands.json", "w", encoding="utf-8") as file:
    json.dump(list(first.values()), file)
END

# What is for another machine, or for a library that is not here, has no flags to be read with.
if [ $# -eq 0 ]; then
    mapfile -t files < <(git ls-files 'src/*.c' | grep -xFf <(python3 -c '
import json, os

for entry in json.load(open("build/tidy/compile_commands.json", encoding="utf-8")):
    print(os.path.relpath(os.path.join(entry["directory"], entry["file"])))'))
    comm -23 <(git ls-files 'src/*.c' | sort) <(printf '%s\n' "${files[@]}" | sort) |
        sed 's/^/not compiled here: /'
else
    files=("$@")
fi
printf '%s\n' "${files[@]}" | xargs -n 4 -P "$jobs" clang-tidy -p build/tidy --quiet \
    --warnings-as-errors='*'
echo "${#files[@]} files"
