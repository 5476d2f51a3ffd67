# SPDX-License-Identifier: Apache-2.0
"""What a site installs: units that are as closed as they can be, and the hooks."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from slurm import BIN, SOURCE, USER, wait_until

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

    def filtered(self, unit):
        """System calls that the unit lets through, as systemd on this machine knows its sets."""
        sets, name = {}, None
        text = re.sub(r"\x1b\[[0-9;]*m", "", self.analyze("syscall-filter", "--no-pager").stdout)
        for line in text.splitlines():
            if line.startswith("@"):
                name = line.strip()
                sets[name] = []
            elif line.strip() and not line.strip().startswith("#") and name:
                sets[name].append(line.strip())

        def members(word):
            if not word.startswith("@"):
                return {word}
            return set().union(*(members(inner) for inner in sets[word]))

        allowed = set()
        with open(os.path.join(UNITS, unit), encoding="utf-8") as file:
            for line in file:
                if line.startswith("SystemCallFilter="):
                    words = line.split("=", 1)[1].split()
                    named = set().union(*(members(word.lstrip("~")) for word in words))
                    allowed = allowed - named if words[0].startswith("~") else allowed | named
        return allowed

    def test_units_allow_what_the_daemons_call(self):
        if shutil.which("strace") is None or os.geteuid() != 0:
            self.skipTest("needs strace, and root to run as another user")
        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory, \
                tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
            for path in (directory, memory):
                os.chown(path, USER, USER)
            user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
            environment = {"PATH": "/usr/bin:/bin"}
            running = []

            def start(name, *words):
                trace = ["strace", "-f", "-qq", "-o", f"{directory}/{name}.trace"]
                with open(f"{directory}/{name}.log", "wb") as log:
                    running.append(subprocess.Popen([*user, *trace, f"{BIN}/{name}", *words],
                                                    stdout=log, stderr=log, env=environment,
                                                    start_new_session=True))

                def ready():
                    with open(f"{directory}/{name}.log", encoding="utf-8") as log:
                        return re.search(r"event=ready .*address=(\S+)", log.read())
                return wait_until(f"{name} is ready", ready)[1]

            try:
                address = start("ckptctld", "--config=/dev/null", "--listen=127.0.0.1:0",
                                f"--socket={directory}/c.sock",
                                f"--state-directory={directory}/state")
                start("ckptd", "--config=/dev/null", f"--coordinator={address}", "--node=n",
                      "--listen=127.0.0.1:0", f"--socket={directory}/a.sock",
                      "--arena-bytes=16MiB", "--arena-segment-bytes=2MiB",
                      f"--arena-directory={memory}/n")
                for attempt in ("1", "2"):
                    done = subprocess.run(
                        [*user, f"{BIN}/ckpt-example-trainer", "--run=r", "--attempt", attempt,
                         "--copies=1", f"--socket={directory}/a.sock", "--steps=" + attempt + "0",
                         "--wait-ms=20000", os.path.join(SOURCE, "README.md")],
                        capture_output=True, text=True, env=environment, check=False, timeout=60)
                    self.assertIn(" consistent", done.stdout, done.stderr)
            finally:
                for process in running:
                    os.killpg(process.pid, signal.SIGTERM)
                for process in running:
                    process.wait(20)
            for name in ("ckptd", "ckptctld"):
                with open(f"{directory}/{name}.trace", encoding="utf-8", errors="replace") as file:
                    called = set(re.findall(r"(?m)^\d+ +([a-z_0-9]+)\(", file.read()))
                self.assertGreater(len(called), 30)
                self.assertEqual(called - self.filtered(f"{name}.service"), set())

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
