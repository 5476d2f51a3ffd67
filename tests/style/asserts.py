# SPDX-License-Identifier: Apache-2.0
"""The pure rooms say what they hold to be true: so many assertions a function, on average.

An assertion is on the room's own state, never on what came from outside: that is refused, with a
reason. Compound ones are written apart, so that the line says which one failed.

Usage: asserts.py [FOLDER]      judge the rooms there (default: this repository)
       asserts.py --self-test   too few are found, and a text or a comment is none
"""
import os
import re
import sys
import tempfile

# At least so many a function. A bar is raised with its room, and never lowered.
BARS = {
    "src/agent": 1.2,
    "src/coordinator": 1.0,
}


def bare(text):
    """Without comments and the insides of strings."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def count(folder):
    """(functions, assertions) of the files of a room."""
    functions = assertions = 0
    for name in sorted(os.listdir(folder)):
        if name.endswith((".c", ".h")):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                text = bare(file.read())
            functions += len(re.findall(r"^\{", text, flags=re.M))
            assertions += len(re.findall(r"(?<!\w)assert\(", text))
    return functions, assertions


def judge(folder):
    report = []
    for room, bar in BARS.items():
        path = os.path.join(folder, room)
        functions, assertions = count(path) if os.path.isdir(path) else (0, 0)
        if functions == 0:
            report.append(f"{room}: no function was found there")
        elif assertions < bar * functions:
            report.append(f"{room}: {assertions} assertions in {functions} functions "
                          f"(at least {bar} a function)")
    return report


def self_test():
    wrong = []
    full = "int f(int a)\n{\n    assert(a > 0);\n    assert(a < 9);\n    return a;\n}\n"
    none = "int f(int a)\n{\n    /* assert(a > 0); */\n    my_assert(a);\n" \
           "    return g(\"assert(a)\");\n}\n"
    with tempfile.TemporaryDirectory() as folder:
        for room in BARS:
            os.makedirs(os.path.join(folder, room))
        if len(judge(folder)) != len(BARS):
            wrong.append("an empty room was let pass")
        for text, expected in ((full, 0), (none, len(BARS))):
            for room in BARS:
                with open(os.path.join(folder, room, "a.c"), "w", encoding="utf-8") as file:
                    file.write(text)
            if len(judge(folder)) != expected:
                wrong.append(f"not {expected} rooms below their bar, but {judge(folder)}")
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        report = self_test()
    else:
        default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        report = judge(sys.argv[1] if len(sys.argv) > 1 else default)
    for line in report:
        print(line)
    print(f"{len(BARS)} rooms, {len(report)} violations")
    sys.exit(1 if report else 0)


if __name__ == "__main__":
    main()
