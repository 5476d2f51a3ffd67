# SPDX-License-Identifier: Apache-2.0
"""What a site installs: units that are as closed as they can be, and the hooks."""

import os
import shutil
import subprocess
import tempfile
import unittest

from slurm import BIN

UNITS = os.path.join(os.path.dirname(BIN), "systemd")
EXPOSURE_MAX = 25  # tenths: systemd-analyze's 2.5


class Site(unittest.TestCase):
    def analyze(self, *words):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not installed")
        return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True,
                              check=False)

    def test_units_are_closed(self):
        for unit in ("ckptd.service", "ckptctld.service"):
            done = self.analyze("security", "--offline=true", "--no-pager",
                                f"--threshold={EXPOSURE_MAX}", os.path.join(UNITS, unit))
            self.assertEqual(done.returncode, 0, done.stdout[-400:] + done.stderr)
            print("     " + done.stdout.strip().splitlines()[-1], flush=True)
            done = self.analyze("security", "--offline=true", "--no-pager", "--threshold=10",
                                os.path.join(UNITS, unit))
            self.assertNotEqual(done.returncode, 0, "the threshold has no effect")

    def test_units_are_valid(self):
        with tempfile.TemporaryDirectory() as directory:
            for unit in ("ckptd.service", "ckptctld.service"):
                with open(os.path.join(UNITS, unit), encoding="utf-8") as file:
                    text = file.read()
                # As installed, but for where the programs are, and for a manual that is not.
                program = os.path.join(BIN, unit.split(".", maxsplit=1)[0])
                text = "".join(f"ExecStart={program}\n" if line.startswith("ExecStart=") else
                               "" if line.startswith("Documentation=") else line
                               for line in text.splitlines(keepends=True))
                path = os.path.join(directory, unit)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                done = self.analyze("verify", "--man=no", path)
                ours = [line for line in done.stderr.splitlines() if unit in line]
                self.assertEqual(ours, [])

    def test_nothing_is_edited(self):
        done = subprocess.run([f"{BIN}/ckptctl", "slurm", "install"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 2)
        done = subprocess.run([f"{BIN}/ckptctl", "slurm", "install", "--print"],
                              capture_output=True, text=True, check=True)
        for line in ("Prolog=", "Epilog=", "TaskProlog=", "PrologFlags=Alloc,DeferBatch"):
            self.assertIn("\n" + line, done.stdout)

    def hook(self, *words, **variables):
        environment = {"SLURM_JOB_ID": "7", "SLURM_JOB_UID": "1", "SLURM_CLUSTER_NAME": "c"}
        environment.update(variables)
        return subprocess.run([f"{BIN}/ckptctl", *words], capture_output=True, text=True,
                              env=environment, check=False, timeout=20)

    def test_hooks_fail_only_when_wanted(self):
        with tempfile.TemporaryDirectory() as directory:
            nobody = f"--socket={directory}/none.sock"
            for verb in ("prolog", "epilog"):
                soft = self.hook("slurm", verb, nobody)
                self.assertEqual((soft.returncode, soft.stdout), (0, ""))
                self.assertEqual(len(soft.stderr.splitlines()), 1, soft.stderr)
                self.assertIn("start ckptd on this node", soft.stderr)
                hard = self.hook("slurm", verb, nobody, "--slurm-on-failure=fail")
                self.assertEqual(hard.returncode, 1)
            for wrong in ({"SLURM_JOB_ID": "x"}, {"SLURM_JOB_UID": ""},
                          {"SLURM_JOB_COMMENT": "ckpt:run=a//b"},
                          {"SLURM_JOB_COMMENT": "ckpt:kopies=3"}):
                done = self.hook("slurm", "prolog", nobody, **wrong)
                self.assertEqual((done.returncode, len(done.stderr.splitlines())), (0, 1),
                                 done.stderr)
            task = self.hook("slurm", "task-prolog", nobody)
            self.assertEqual(task.returncode, 0)
            self.assertTrue(task.stdout.startswith("print ckptd: "), task.stdout)
            unmarked = self.hook("slurm", "prolog", nobody, "--slurm-jobs=marked")
            self.assertEqual((unmarked.returncode, unmarked.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
