# SPDX-License-Identifier: Apache-2.0
"""The style is a test: what a reviewer should not have to say twice.

Usage: tidy.py [FOLDER]       judge the files that git tracks there (default: this repository)
       tidy.py --self-test    each rule finds a planted violation, and none where there is none
"""
import os
import re
import subprocess
import sys
import tempfile

COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 700

CODE = (".c", ".h", ".cc", ".cu", ".def", ".proto")
SCRIPTS = (".py", ".sh", ".cmake", ".proto", "Makefile", "CMakeLists.txt", "/run", "/packages")
NAMES = {"util", "utils", "common", "misc", "helper", "helpers", "core", "manager"}

# A call that is not made, and what is written in its place.
BANNED = {
    "alloca": "an array of a bound from limits.h",
    "asctime": "strftime()",
    "atof": "config/value.h",
    "atoi": "config/value.h or strtol() with its errors",
    "atol": "config/value.h or strtol() with its errors",
    "ctime": "strftime()",
    "gets": "fgets()",
    "gmtime": "gmtime_r()",
    "localtime": "localtime_r()",
    "mktemp": "mkstemp()",
    "popen": "a library",
    "rand": "base/prng.h",
    "random": "base/prng.h",
    "sleep": "a deadline in the event loop",
    "sprintf": "snprintf()",
    "srand": "base/prng.h",
    "strcat": "snprintf()",
    "strcpy": "snprintf(), or a struct assignment",
    "strncat": "snprintf()",
    "strncpy": "snprintf()",
    "strtok": "strtok_r()",
    "system": "a library",
    "time": "clock_gettime(CLOCK_MONOTONIC)",
    "tmpnam": "mkstemp()",
    "usleep": "a deadline in the event loop",
    "vsprintf": "vsnprintf()",
}
# Where a banned call stands all the same, and why that is right there.
BOUNDED = "from one field to another of the same size; what arrives was bounded by the decoder"
ALLOWED = {
    ("time", "bench/"): "the date of a report",
    ("atol", "src/session/address.c"): "behind a test for at most five digits",
    ("strcpy", "src/agent/"): BOUNDED,
    ("strcpy", "src/arena/directory.c"): "behind a comparison of lengths; PATH_MAX on both sides",
    ("strcpy", "src/ckptd/"): BOUNDED,
    ("strcpy", "src/coordinator/"): BOUNDED,
    ("strcpy", "src/session/address.c"): "behind a test of the port's length",
}
# Tests may use what only a daemon must not: a shell, a wait, a text that is their own.
BANNED_IN_TESTS = {"gets", "mktemp", "tmpnam", "rand", "random", "srand", "sprintf", "vsprintf"}
HEADINGS = re.compile(r"\b(RETURN VALUE|ERRORS|THREADS)\b")
DEBTS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b")


def tracked(folder):
    names = subprocess.run(["git", "-C", folder, "ls-files", "-z", "--cached", "--others",
                            "--exclude-standard"], check=True, capture_output=True).stdout
    return sorted(name for name in names.decode().split("\0")
                  if name and os.path.isfile(os.path.join(folder, name)))


def without_comments(text):
    """Comments and the insides of strings become blanks; lines stay lines."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def judge_functions(lines, found):
    start = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            start = number
        elif line.startswith("}") and start:
            length = number - start - 1
            if length > FUNCTION_LINES_MAX:
                found(start, f"function of {length} lines (at most {FUNCTION_LINES_MAX})")
            start = None


def judge_calls(name, code, found):
    rules = BANNED_IN_TESTS if name.startswith("tests/") else set(BANNED)
    for number, line in enumerate(code.splitlines(), 1):
        for call in re.findall(r"(?<![\w.>])([a-z]+)\(", line):
            if call not in rules:
                continue
            if any(call == c and name.startswith(place) for c, place in ALLOWED):
                continue
            found(number, f"{call}() is not used: {BANNED[call]}")


def judge_comment(lines, first, found):
    """A comment that a formatter has filled: its headings, lists and ends stand in mid-line."""
    texts = [re.match(r"\s*(?:/\*+|\*(?!/))?( *)(.*)", line).groups() for line in lines]
    for number, (_, text) in enumerate(texts):
        if HEADINGS.search(text) and not HEADINGS.match(text):
            found(first + number, "RETURN VALUE, ERRORS and THREADS begin a line")
    for number, ((indent, text), (before, item)) in enumerate(zip(texts[1:], texts), 1):
        dash = item.startswith("- ") and indent == before and not text.startswith(("- ", "*/"))
        cut = (len(before) > 1 >= len(indent) and not item.endswith((".", ":", ";")) and
               re.match(r"[a-z(]", text) and not re.match(r"\w+  ", text))
        if text and (dash or cut):
            found(first + number, "an item of a list goes on at the margin: indent it as the item")
    if lines[-1].strip() == "*/" and lines[0].strip() != "/*":
        found(first + len(lines) - 1, "the end of a comment stands behind its last word")


def judge_comments(text, found):
    for match in re.finditer(r"/\*.*?\*/", text, re.S):
        judge_comment(match.group().split("\n"), text.count("\n", 0, match.start()) + 1, found)


def judge_file(name, text, report):
    def found(line, what):
        report.append(f"{name}:{line}: {what}")

    lines = text.splitlines()
    code = name.endswith(CODE)
    script = name.endswith(SCRIPTS) or text.startswith("#!")
    stem = re.split(r"[./_]", os.path.basename(name))
    if NAMES & set(stem) or NAMES & set(name.split("/")[:-1]):
        found(1, "a name that says nothing: " + ", ".join(sorted(NAMES)) + " are not used")
    if not (code or script):
        return
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
        found(1, "no SPDX line")
    if len(lines) > FILE_LINES_MAX:
        found(len(lines), f"{len(lines)} lines (at most {FILE_LINES_MAX})")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            found(number, f"{len(line)} columns (at most {COLUMNS_MAX})")
        if line != line.rstrip():
            found(number, "blanks at the end")
        if "\t" in line and not name.endswith("Makefile"):
            found(number, "a tab")
        if DEBTS.search(line):
            found(number, "unfinished work is an issue, not a comment")
    if code:
        stripped = without_comments(text)
        judge_functions(stripped.splitlines(), found)
        judge_calls(name, stripped, found)
        judge_comments(text, found)


def judge_dead(folder, names, report):
    """A source file that no room.cmake names is compiled by nobody."""
    listed = {}
    for name in names:
        match = re.match(r"src/([^/]+)/.*\.c$", name)
        if not match:
            continue
        room = match.group(1)
        if room not in listed:
            path = os.path.join(folder, "src", room, "room.cmake")
            with open(path if os.path.exists(path) else os.devnull, encoding="utf-8") as file:
                listed[room] = set(re.findall(r"[\w/]+\.c\b", file.read()))
        if name[len(f"src/{room}/"):] not in listed[room]:
            report.append(f"{name}:1: src/{room}/room.cmake does not name it")


def judge_links(name, text, folder, report):
    """A relative link of a page leads to a file."""
    for number, line in enumerate(text.splitlines(), 1):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
            path = os.path.join(folder, os.path.dirname(name), target)
            if not re.match(r"[a-z]+:", target) and not os.path.exists(path):
                report.append(f"{name}:{number}: the link {target} leads nowhere")


def judge(folder):
    report = []
    names = tracked(folder)
    for name in names:
        if "/corpus/" in name or "/golden/" in name or name.endswith(".golden"):
            continue
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            text = file.read()
        judge_file(name, text, report)
        if name.endswith(".md"):
            judge_links(name, text, folder, report)
    judge_dead(folder, names, report)
    return names, report


SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
PLANTED = [
    ("src/a/good.c", SPDX + "int f(void)\n{\n    return 0; /* not a strcat() */\n}\n", None),
    ("src/a/room.cmake", "# " + SPDX + "ckpt_room(a SOURCES good.c)\n", None),
    ("README.md", "See [the code](src/a/good.c) and [the web](https://example.org).\n", None),
    ("tests/a.c", SPDX + "int f(void)\n{\n    return system(\"true\");\n}\n", None),
    ("tests/b.h", "int f(void);\n", "no SPDX"),
    ("tests/c.h", SPDX + "/*" + "x" * 100 + "*/\n", "columns"),
    ("tests/d.c", SPDX + "int f(void)\n{\n" + "    g();\n" * 71 + "}\n", "function of 71"),
    ("tests/e.h", SPDX + "int a;\n" * 700, "701 lines"),
    ("src/b/b.h", SPDX + "#define F(x, y) strcat(x, y)\n", "strcat() is not used"),
    ("tests/f.h", SPDX + "#define F(x) sprintf(x)\n", "sprintf() is not used"),
    ("tests/g_helper.h", SPDX, "says nothing"),
    ("src/core/room.cmake", "# " + SPDX, "says nothing"),
    ("tests/h.h", SPDX + "/* TO" + "DO: later */\n", "unfinished"),
    ("tests/i.h", SPDX + "int a; \n", "blanks"),
    ("tests/j.h", SPDX + "\tint a;\n", "a tab"),
    ("src/a/dead.c", SPDX, "does not name it"),
    ("tests/k.h", SPDX + "/* Opens it. RETURN VALUE\n * CKPT_OK. */\n", "begin a line"),
    ("tests/l.h", SPDX + "/* - one, and\n * more of it */\n", "at the margin"),
    ("tests/m.h", SPDX + "/* Of\n *   NAME   what it\n * is\n *\n * . */\n", "at the margin"),
    ("tests/n.h", SPDX + "/* Opens it.\n */\n", "behind its last word"),
    ("tests/o.h", SPDX + "/* Opens it.\n *\n * ERRORS\n * - A - of two\n *   lines\n * - B */\n",
     None),
    ("docs/page.md", "[gone](nowhere.md)\n", "leads nowhere"),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "init", "-q", folder], check=True)
        for name, text, _ in PLANTED:
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        _, report = judge(folder)
    wrong = []
    for name, _, expected in PLANTED:
        said = [line for line in report if line.startswith(name + ":")]
        if expected is None and said:
            wrong.append(f"not a violation: {said}")
        if expected is not None and not any(expected in line for line in said):
            wrong.append(f"{name}: '{expected}' was not found, but {said}")
    return [name for name, _, _ in PLANTED], wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        names, report = self_test()
    else:
        default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        names, report = judge(sys.argv[1] if len(sys.argv) > 1 else default)
    for line in report:
        print(line)
    print(f"{len(names)} files, {len(report)} violations")
    sys.exit(1 if report or not names else 0)


if __name__ == "__main__":
    main()
