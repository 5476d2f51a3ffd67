# SPDX-License-Identifier: Apache-2.0
"""docs/events.md is what the sources say, and no event is in one of them alone.

Usage: events.py                the repository
       events.py --self-test    each rule finds a planted violation, and none where there is none
"""
import os
import shutil
import sys
import tempfile

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(REPOSITORY, "scripts"))
import events  # noqa: E402

GOOD = 'EVENT_ENTRY(alpha, WARN,\n            "it \\"means\\" a|b "\n            "c", "do")\n'
ROW = '| `alpha` | warn | it "means" a\\|b c | do | `x` `y` `z` |'
PLANTED = [
    ("two.def", GOOD, None),
    ("two.def", GOOD.replace("WARN", "LOUD"), "no level"),
    ("two.def", GOOD + 'EVENT_ENTRY(beta, INFO, "never", "logged")\n', "nothing logs it"),
    ("two.def", GOOD + GOOD, "stands twice"),
    ("two.def", 'EVENT_ENTRY(gamma, INFO, "g", "g")\n' + GOOD, "alphabet"),
    ("page", "", "run it"),
]


def write(root, name, text):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def plant(root, name, text):
    events.ROOT = root
    for part, _ in events.PARTS:
        write(root, f"src/base/events_{part}.def", "")
    write(root, "src/base/events_both.def", GOOD if name == "page" else text)
    write(root, "src/ckptd/a.c", 'log_event(EVENT_alpha, "x=%d y=\\"%m\\"" " z=1", x);\n'
                                 'log_event(EVENT_gamma, "w=%s", LOG_QUOTED("v=; 1"));\n')
    write(root, events.PAGE, text if name == "page" else events.make()[0])
    return events.check()


def self_test():
    wrong = []
    for name, text, expected in PLANTED:
        root = tempfile.mkdtemp()
        said = plant(root, name, text)
        if not (any(expected in line for line in said) if expected else said == []):
            wrong.append(f"'{expected}' was expected, and {said} said")
        if expected is None and ROW not in events.make()[0].splitlines():
            wrong.append(f"the page has another row than {ROW}")
        shutil.rmtree(root)
    return wrong


def main():
    report = self_test() if sys.argv[1:] == ["--self-test"] else events.check()
    for line in report:
        print(line)
    sys.exit(1 if report else 0)


if __name__ == "__main__":
    main()
