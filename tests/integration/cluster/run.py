#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py [--list] [MODULE | MODULE.test | TEXT]... - runs the integration tests, one line each.

Environment: CKPT_BIN (where the programs are), CKPT_SOAK=1 (the long variants), CKPT_TIME_SCALE
(factor
on all waits), CKPT_KEEP=1 (keeps the logs of failed tests). Exit status: 0 passed, 1 failed, 77
all skipped.
"""

import glob
import os
import sys
import time
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)


class Lines(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.passed = 0
        self.started = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def _line(self, word, test, more=""):
        print(f"{word:5}{test.id()} ({time.monotonic() - self.started:.1f} s){more}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1
        self._line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line("SKIP", test, f": {reason}")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._line("FAIL", subtest, "\n" + "".join(traceback.format_exception(*err)))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line("FAIL", test, "\n" + "".join(traceback.format_exception(*err)))

    def addError(self, test, err):
        super().addError(test, err)
        self._line("FAIL", test, "\n" + "".join(traceback.format_exception(*err)))


def flatten(suite):
    for entry in suite:
        if isinstance(entry, unittest.TestSuite):
            yield from flatten(entry)
        else:
            yield entry


def main(words):
    listing = "--list" in words
    wanted = [word for word in words if not word.startswith("--")]
    modules = sorted(
        os.path.basename(path)[:-3] for path in glob.glob(os.path.join(HERE, "test_*.py"))
    )
    result = Lines()
    for module in modules:
        for test in flatten(unittest.defaultTestLoader.loadTestsFromName(module)):
            if wanted and not any(word in test.id() for word in wanted):
                continue
            if listing:
                print(test.id())
            else:
                test.run(result)
    if listing:
        return 0
    failed = len(result.failures) + len(result.errors)
    print(f"{result.passed} passed, {failed} failed, {len(result.skipped)} skipped")
    if failed or result.passed + len(result.skipped) == 0:
        return 1
    return 0 if result.passed else 77


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
