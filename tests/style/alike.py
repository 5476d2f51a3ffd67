# SPDX-License-Identifier: Apache-2.0
"""What is written twice goes two ways: no two passages of src/ or bench/ are alike for long.

Blank lines, comments, includes and lone braces do not count.

Usage: alike.py [FOLDER]      judge src/ and bench/ there (default: this repository)
       alike.py --self-test   a planted pair is found, and none where there is none
"""
import collections
import glob
import os
import re
import sys
import tempfile

LINES = 12
# Alike on purpose: each engine is compiled for its own instructions, and read beside the others.
APART = ("src/digest/",)


def passages(path):
    """The lines that count, as (number, text)."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), file.read(), flags=re.S)
    lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    return [(number, line) for number, line in lines
            if line and line not in "{}" and not line.startswith("#include")]


def judge(folder):
    places = collections.defaultdict(list)
    files = {}
    for top in ("src", "bench"):
        for path in sorted(glob.glob(os.path.join(folder, top, "**", "*.[ch]"), recursive=True)):
            name = os.path.relpath(path, folder)
            files[name] = passages(path)
            for at in range(len(files[name]) - LINES + 1):
                key = tuple(line for _, line in files[name][at:at + LINES])
                places[key].append((name, at))
    report, last = [], None
    for (one, i), (other, j) in (two for many in places.values() for two in zip(many, many[1:])):
        begins = last != (one, i - 1, other, j - 1)
        last = (one, i, other, j)
        both_apart = one.startswith(APART) and other.startswith(APART)
        if begins and not both_apart and not (one == other and j - i < LINES):
            report.append(f"{one}:{files[one][i][0]}: {LINES} lines and more stand again at "
                          f"{other}:{files[other][j][0]}")
    return len(files), report


def self_test():
    body = "".join(f"    step({i});\n" for i in range(LINES))
    planted = {
        "src/a/one.c": "void one(void)\n{\n" + body + "}\n",
        "src/b/two.c": "void two(int x)\n{\n    /* other */\n\n" + body + "    end(x);\n}\n",
        "src/b/three.c": "void three(void)\n{\n" + body.replace("(5)", "(50)") + "}\n",
        "src/digest/a.c": body.replace("step", "mix"),
        "src/digest/b.c": body.replace("step", "mix"),
    }
    expected = [f"src/a/one.c:3: {LINES} lines and more stand again at src/b/two.c:5"]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in planted.items():
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        count, found = judge(folder)
    return count, [] if found == expected else [f"expected {expected}, found {found}"]


def main():
    if sys.argv[1:] == ["--self-test"]:
        count, report = self_test()
    else:
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        count, report = judge(sys.argv[1] if len(sys.argv) > 1 else here)
    for line in report:
        print(line)
    print(f"{count} files, {len(report)} violations")
    sys.exit(1 if report or not count else 0)


if __name__ == "__main__":
    main()
