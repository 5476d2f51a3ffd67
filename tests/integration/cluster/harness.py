# SPDX-License-Identifier: Apache-2.0
"""What every test of this folder is: isolated, bounded, and loud when it fails."""

import os
import unittest

from cluster import Cluster, sweep
from job import Job
from process import Failure, wait_until

SOAK = os.environ.get("CKPT_SOAK") == "1"

sweep()


class IntegrationTest(unittest.TestCase):
    failureException = AssertionError
    _failed = False

    def has_failed(self):
        return self._failed

    def run(self, result=None):
        # Clean-ups run after the body: remember by then whether it failed, so that they print the
        # logs.
        method = getattr(self, self._testMethodName)

        def remember():
            try:
                method()
            except unittest.SkipTest:
                raise
            except BaseException:
                self._failed = True
                raise

        setattr(self, self._testMethodName, remember)
        return super().run(result)

    def cluster(self, agents=3, start=True, coordinator=None, **options):
        """Repair does not wait as long as it does where it ships; test_recovery has it wait."""
        coordinator = {"repair-after": "400ms", **(coordinator or {})}
        cluster = Cluster(self, agents, coordinator=coordinator, **options)
        self.addCleanup(lambda: None if self._failed else cluster.check_no_sanitizer_report())
        return cluster.start() if start else cluster

    def job(self, cluster, run="run", attempt=1, on=None, copies=2, **options):
        return Job(cluster, run, attempt, on, copies, **options)

    def assert_status(self, reply, *statuses):
        self.assertIsNotNone(reply, "the process died")
        self.assertIn(reply.status, statuses, reply)
        if not reply.ok:
            self.assertGreater(len(reply.reason), 10, f"no message for a person: {reply}")

    def need_root(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to act as several users")


__all__ = ["Failure", "IntegrationTest", "Job", "SOAK", "wait_until"]
