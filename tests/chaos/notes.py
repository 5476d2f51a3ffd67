# SPDX-License-Identifier: Apache-2.0
"""What a chaos run says, and what it holds against the system."""

import threading
import time


class Notes:
    def __init__(self):
        self.began = time.monotonic()
        self.violations = []
        self.faults = []  # [name, from, until]
        self.lock = threading.Lock()

    def say(self, text):
        with self.lock:
            print(f"{time.monotonic() - self.began:7.1f} {text}", flush=True)

    def violation(self, text):
        if text not in self.violations:
            self.violations.append(text)
            self.say(f"VIOLATION {text}")

    def begin(self, name):
        fault = [name, time.monotonic(), None]
        self.faults.append(fault)
        self.say(f"fault: {name}")
        return fault

    def end(self, fault):
        fault[2] = time.monotonic()
        self.say(f"over:  {fault[0]}, after {fault[2] - fault[1]:.1f} s")

    def longest_gap(self, saved_at, until):
        """(seconds, when it began): the longest time without a consistent save, less what faults
        lasted in it."""
        longest = (0.0, self.began)
        marks = [self.began] + list(saved_at) + [until]
        for start, end in zip(marks, marks[1:]):
            gap = end - start - self.covered(start, end)
            longest = max(longest, (gap, start))
        return longest[0], longest[1] - self.began

    def covered(self, start, end):
        """Seconds between start and end in which at least one fault lasted."""
        spans = sorted(
            (max(begin, start), min(over if over is not None else end, end))
            for _, begin, over in self.faults
            if begin < end
        )
        total, reached = 0.0, start
        for begin, over in spans:
            if over > reached:
                total += over - max(begin, reached)
                reached = over
        return total
