# SPDX-License-Identifier: Apache-2.0
"""ckptbench as a contender: one turn of `raw` or `cycle` a call, its numbers from its JSON."""

import json
import os
import subprocess

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
CKPTBENCH = os.path.join(os.environ.get("CKPT_BIN", os.path.join(ROOT, "build/release/bin")),
                         "ckptbench")
READS = 3  # of which the program gives the median


class Run:
    """What Pair is for the others. The program compares bytes itself."""

    def __init__(self, case, transport, count, environment, figures):
        self.command = [CKPTBENCH, case, f"--bytes={count}", f"--transport={transport}",
                        f"--repeat={READS}", "--json=-"]
        if case == "cycle":
            self.command.append("--small-repeat=1")
        self.environment = {**os.environ, **environment}
        self.figures = figures
        self.count = count

    def read(self):
        done = subprocess.run(self.command, env=self.environment, check=False, text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(self.command[1:])}: {done.stderr.strip()[-200:]}")
        said = json.loads(done.stdout)
        speed, cpu = (said[name] for name in self.figures)
        return self.count / 1e9 / speed, cpu * self.count / 1e9

    def is_right(self):
        return True

    def close(self):
        pass


def library_folder():
    """Where the newest UCX of the peers' environment lies; None: it is not there."""
    import sysconfig

    folder = os.path.join(sysconfig.get_path("purelib"), "libucx/lib")
    return folder if os.path.isdir(folder) else None
