#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/quickstart.md, as they stand there, on two hosts that are namespaces.

Environment: CKPT_BIN (where the programs are). Exit status: 0 passed, 1 failed, 77 what it needs is
not here: root for the namespaces, or the Python environment with PyTorch (build/venv).
"""

import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "../../.."))
sys.path.insert(0, os.path.join(ROOT, "tests/slurm"))

from nodes import Host, Network  # noqa: E402  (needs the path above)

BIN = os.path.abspath(os.environ.get("CKPT_BIN", os.path.join(ROOT, "build/dev/bin")))
VENV = os.path.join(ROOT, "build/venv")
ADDRESSES = {"node1": "10.0.0.1", "node2": "10.0.0.2"}
LIMIT_S = 240


def blocks(page):
    """[(language, words behind it, text)] of the fenced blocks, in order."""
    return [(language, words.split(), text) for language, words, text in
            re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```$", page, re.M | re.S)]


class Site:
    def __init__(self, work):
        self.work = work
        self.names = os.path.join(work, "hosts")
        with open(self.names, "w", encoding="ascii") as file:
            file.write("127.0.0.1 localhost\n")
            file.writelines(f"{address} {name}\n" for name, address in ADDRESSES.items())
        self.hosts, self.folders, self.made = {}, {}, 0
        self.switch = self.make_host("switch", "10.0.0.254")
        self.network = Network(self.switch)
        for name in ADDRESSES:
            self.switch_on(name)

    def make_host(self, name, address):
        """What it writes beside the site's folder is gone when it is switched off."""
        self.made += 1
        scratch = os.path.join(self.work, "roots", str(self.made))
        return Host(name, address, self.names, scratch, shared=(self.work, ROOT))

    def switch_on(self, name):
        self.hosts[name] = host = self.make_host(name, ADDRESSES[name])
        host.must("mount", "-t", "tmpfs", "tmpfs", "/var/lib")
        self.folders.setdefault(name, os.path.join(self.work, name))
        os.makedirs(self.folders[name], exist_ok=True)
        self.network.join(host)

    def start(self, name, commands):
        """A shell of the host that runs them, in the host's own folder. UCX takes the hosts, which
        have one kernel, for one machine, and would go by lo: it is told the device that a real one
        would choose."""
        environment = {"PATH": f"{BIN}:{VENV}/bin:{os.environ['PATH']}", "HOME": "/root",
                       "CKPT_TRANSPORT_DEVICES": "eth0",
                       "PYTHONPATH": os.path.join(ROOT, "python"), "OMP_NUM_THREADS": "1",
                       "CKPT_LIBRARY": os.path.join(os.path.dirname(BIN), "lib/libckpt.so.0")}
        return subprocess.Popen(
            self.hosts[name].command("bash", "-e", "-c", f"cd {self.folders[name]}\n{commands}"),
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def end(self):
        for host in [*self.hosts.values(), self.switch]:
            host.lose()

    def log(self, name, file):
        path = os.path.join(self.folders[name], file)
        return open(path, encoding="utf-8").read() if os.path.exists(path) else ""


def finish(process, commands):
    said, _ = process.communicate(timeout=LIMIT_S)
    print(said, end="", flush=True)
    assert process.returncode == 0, f"status {process.returncode}: {commands}"
    return said


def wait_for(what, true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.2)


def run(site, page):
    """Runs the blocks in order; gives what each said, {first command: output}."""
    said, pending = {}, []
    for language, words, text in page:
        if language == "python":
            for folder in site.folders.values():
                with open(os.path.join(folder, words[0]), "w", encoding="utf-8") as file:
                    file.write(text)
        if language != "sh" or words == ["install"]:
            continue
        name = words[0]
        print(f"--- {name}\n{text}", end="", flush=True)
        if "lost" in words:
            site.hosts["node2"].lose()
            wait_for("the loss is noticed", lambda: "event=agent_lost" in site.log(
                "node1", "ckptctld.log"))
        if not site.hosts[name].is_up():
            site.switch_on(name)
        key = f"{name}: {text.split(chr(10))[0]}" + (" (lost)" if "lost" in words else "")
        if "together" in words:
            pending.append((key, site.start(name, text), text))
            if len(pending) == 2:
                said.update({key: finish(process, text) for key, process, text in pending})
                pending = []
        else:
            background = text.rstrip().endswith("&")
            said[key] = finish(site.start(name, text), text)
            if background:
                log = re.search(r">(\S+\.log)", text).group(1)
                wait_for(f"{name} {log}", lambda: "event=ready" in site.log(name, log))
                if "ckptd " in text:
                    wait_for(f"{name} joins", lambda: "event=joined" in site.log(name, log))
    return said


def check(said):
    def of(start):
        return next(text for key, text in reversed(list(said.items())) if key.startswith(start))

    assert len(re.findall(r"^node[12] +joined", said["node1: ckptctl nodes"], re.M)) == 2
    assert re.search(r"^node2 +lost", of("node1: ckptctl nodes (lost)"), re.M)
    runs = {key: text for key, text in said.items() if "torchrun" in key}
    assert len(runs) == 4, list(runs)
    for key, text in runs.items():
        begins = 30 if " 60" in key else 0
        assert f"begins at step {begins}\n" in text, (key, text)
        assert f"saved step {begins + 30}, loss" in text, (key, text)
    first = of("node1: ckptctl wait quickstart 30")
    assert "step 30 is consistent" in first and "2 copies" in first, first
    assert "4 of 4 copies are what they should be" in first, first
    assert "step 60 is consistent" in of("node1: ckptctl wait quickstart 60")


def main():
    if os.geteuid() != 0 or subprocess.run(["unshare", "--net", "true"], check=False).returncode:
        print("skipped: namespaces need root")
        return 77
    if not os.path.exists(f"{VENV}/bin/torchrun"):
        print("skipped: build/venv has no PyTorch (scripts/python_env.sh)")
        return 77
    with open(os.path.join(ROOT, "docs/quickstart.md"), encoding="utf-8") as file:
        page = blocks(file.read())
    with tempfile.TemporaryDirectory(prefix="ckpt_quickstart_") as work:
        site = Site(work)
        try:
            check(run(site, page))
        except BaseException:
            for name in site.folders:
                for log in ("ckptctld.log", "ckptd.log"):
                    print(f"--- {name} {log}\n" + site.log(name, log)[-3000:])
            raise
        finally:
            site.end()
    print("docs/quickstart.md: every command did what the page says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
