#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py MODULE [TEXT]... - the tests of a module, or those whose name has TEXT, one line each.

Environment: CKPT_BIN (where the programs are). Exit status: 0 passed, 1 failed, 77 all skipped.
"""

import os
import sys
import time
import traceback
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


class Lines(unittest.TestResult):
    passed = 0
    started = 0.0

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

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line("FAIL", test, "\n" + "".join(traceback.format_exception(*err)))

    def addError(self, test, err):
        super().addError(test, err)
        self._line("FAIL", test, "\n" + "".join(traceback.format_exception(*err)))


def main(module, words):
    loader = unittest.TestLoader()
    if words:
        loader.testNamePatterns = [f"*{word}*" for word in words]
    result = Lines()
    begin = time.monotonic()
    loader.loadTestsFromName(module).run(result)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.passed} passed, {failed} failed, {len(result.skipped)} skipped, "
          f"{time.monotonic() - begin:.0f} s")
    if failed or result.passed + len(result.skipped) == 0:
        return 1
    return 0 if result.passed else 77


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
