#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/events.md of src/base/events_*.def and of the lines that log them.

Usage: events.py            write docs/events.md
       events.py --check    say what differs, and exit with 1
"""
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PAGE = "docs/events.md"
PARTS = [
    ("ckptctld", "At the coordinator"),
    ("ckptd", "At an agent"),
    ("transport", "At an agent, of its transport"),
    ("both", "At both"),
    ("replicator", "At `ckptd --compat orbax-replicator`"),
]
LEVELS = ("ERROR", "WARN", "INFO", "DEBUG")
HEAD = """\
# Events

Every event that `ckptctld` and `ckptd` log, one a line. This page is made by `scripts/events.py`
from `src/base/events_*.def`, of which the programs take the names and the levels: no event is
left out. How a line is written, and how to count events, is in [operating](operating.md#logs).

A level is a contract, and alerts are set on it:

| level | is for |
|---|---|
| `error` | a person must act, now: something is lost, or saves will not be consistent |
| `warn` | a person should look soon; it may heal by itself |
| `info` | as it should be: a few lines a checkpoint |
| `debug` | a line a connection or a message |

Fields stand on the line beside `level` and `event`. An event of a *machine* has `source=machine`,
and `run`, `uid`, `attempt`, `step`, `rank`, `node` and `text` where they apply; `ckptctl status
--json` counts those of the coordinator.
"""
MACHINES = ("agent", "coordinator")
STRING = r'"(?:\\.|[^"\\])*"'
ENTRY = re.compile(rf'EVENT_ENTRY\((\w+),\s*(\w+),((?:\s*{STRING})+),((?:\s*{STRING})+)\)')


def text_of(literals):
    return "".join(re.findall(STRING, literals)).replace('""', "")[1:-1].replace('\\"', '"')


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def entries(part):
    """(name, level, meaning, remedy) in the order of the file, which is that of the alphabet."""
    text = read(f"src/base/events_{part}.def")
    found = [(name, level, text_of(meaning), text_of(remedy))
             for name, level, meaning, remedy in ENTRY.findall(text)]
    assert len(found) == len(re.findall(r"^EVENT_ENTRY\(", text, re.M)), f"{part}: an odd entry"
    return found


def sources():
    for folder, _, names in sorted(os.walk(os.path.join(ROOT, "src"))):
        for name in sorted(names):
            if name.endswith(".c"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    yield os.path.basename(folder) in MACHINES, file.read()


def uses():
    """Of each event its fields, in the order in which the sources have them."""
    fields = {}
    for is_machine, text in sources():
        for name in re.findall(r"\bEVENT_([a-z]\w*)", text):
            found = fields.setdefault(name, [])
            if is_machine and "*machine*" not in found:
                found.append("*machine*")
        for call in re.findall(rf"log_event\(((?:{STRING}|[^;])*);", text):
            names = re.findall(r"\bEVENT_([a-z]\w*)", call)
            formats = re.match(rf"[^\"]*?,\s*((?:(?:{STRING}|[A-Z]\w+)\s*)+)", call, re.S)
            keys = re.findall(r"(?:^|[ \"])([a-z_]+)=", formats.group(1)) if formats else []
            for name in names:
                fields[name] += [key for key in keys if key not in fields[name]]
    return fields


def row(entry, fields):
    name, level, meaning, remedy = entry
    said = " ".join(field if field[0] == "*" else f"`{field}`" for field in fields)
    cells = [f"`{name}`", level.lower(), meaning, remedy, said]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def make():
    page, wrong, seen = HEAD, [], []
    used = uses()
    for part, title in PARTS:
        page += f"\n## {title}\n\n| event | level | means | do | fields |\n|---|---|---|---|---|\n"
        found = entries(part)
        for entry in found:
            if entry[1] not in LEVELS:
                wrong.append(f"{entry[0]}: {entry[1]} is no level")
            if entry[0] not in used:
                wrong.append(f"{entry[0]}: nothing logs it")
            page += row(entry, used.get(entry[0], []))
        names = [entry[0] for entry in found]
        if names != sorted(names):
            wrong.append(f"src/base/events_{part}.def: not in the order of the alphabet")
        seen += names
    wrong += [f"{name}: it stands twice" for name in sorted(set(seen)) if seen.count(name) > 1]
    return page, wrong


def check():
    """What is wrong, a line each."""
    page, wrong = make()
    if not os.path.exists(os.path.join(ROOT, PAGE)) or read(PAGE) != page:
        wrong.append(f"{PAGE} is not what scripts/events.py makes: run it")
    return wrong


def main():
    if sys.argv[1:] == ["--check"]:
        wrong = check()
    elif not sys.argv[1:]:
        page, wrong = make()
        with open(os.path.join(ROOT, PAGE), "w", encoding="utf-8") as file:
            file.write(page)
    else:
        sys.exit(__doc__)
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
