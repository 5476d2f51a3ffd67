# SPDX-License-Identifier: Apache-2.0
"""A real Slurm (munged, slurmctld, slurmds) on hosts that are namespaces, with ckptd's coordinator,
agents and hooks as a site would have them. Ends with the process that made it.

Slurm is this machine's, or that of the root in CKPT_SLURM_ROOT (scripts/debian_root.sh), in which
all of a host runs then, ckptd's programs too."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from nodes import Host, Network

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "../..")
BIN = os.path.abspath(os.environ.get("CKPT_BIN", os.path.join(SOURCE, "build/dev/bin")))
BUILD = os.path.dirname(BIN)
HOOKS = os.path.join(BUILD, "slurm")
ROOT = os.path.abspath(os.environ.get("CKPT_SLURM_ROOT", "/"))
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
SLURMD_TIMEOUT_S = 10
KILL_WAIT_S = 8
USER, OTHER = 1, 5  # daemon and games: each Debian has them

SLURM_CONF = """
ClusterName=sandbox
SlurmctldHost=ctl(10.77.0.254)
AuthInfo=socket={s}/munge/sock,cred_expire=5
SlurmUser=root
StateSaveLocation={s}/state
SlurmdSpoolDir={s}/spool/%n
SlurmctldPidFile={s}/run/ctld.pid
SlurmdPidFile={s}/run/d-%n.pid
SlurmctldLogFile={s}/log/slurmctld.log
SlurmdLogFile={s}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SlurmdTimeout={timeout}
KillWait={kill_wait}
MinJobAge=3600
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PrologFlags=Alloc,DeferBatch
PrologEpilogTimeout=20
PropagateResourceLimitsExcept=MEMLOCK
Prolog={s}/hooks/prolog.d/*
Epilog={s}/hooks/epilog.d/*
TaskProlog={s}/hooks/task_prolog
TopologyPlugin=topology/tree
PlugStackConfig={s}/plugstack.conf
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=n[1-{count}] CPUs=4
PartitionName=work Nodes=ALL Default=YES PriorityTier=1 OverSubscribe=NO
PartitionName=urgent Nodes=ALL PriorityTier=9 PreemptMode=off
"""

AGENT_CONF = """
[agent]
listen = *:7472
coordinator = 10.77.0.254:7471
topology = {s}/topology.conf
resend = 150ms
pull_timeout = 2s
[arena]
bytes = {arena}
segment_bytes = 2MiB
prefault_threads = 1
[transport]
spec = ucx:tcp
devices = eth0
timeout = 2s
[digest]
threads = 1
"""

# What a site has beside ours. A test makes it slow or makes it fail by a file.
SITE_PROLOG = """#!/bin/sh
PATH=/usr/bin:/bin
echo "prolog $SLURM_JOB_ID $SLURMD_NODENAME restart=$SLURM_JOB_RESTART_COUNT" >>{s}/log/hooks
slow="{s}/control/slow-$SLURMD_NODENAME"
if [ -e "$slow" ]; then sleep "$(cat "$slow")"; fi
if [ -e "{s}/control/fail-$SLURMD_NODENAME" ]; then echo "the site says no"; exit 3; fi
exit 0
"""
SITE_EPILOG = """#!/bin/sh
PATH=/usr/bin:/bin
echo "epilog $SLURM_JOB_ID $SLURMD_NODENAME restart=$SLURM_JOB_RESTART_COUNT \
exit=$SLURM_JOB_EXIT_CODE2" >>{s}/log/hooks
find /tmp /dev/shm -user "$SLURM_JOB_USER" -delete 2>/dev/null
exit 0
"""


class Failure(AssertionError):
    pass


def wait_until(what, condition, timeout=30.0, every=0.05):
    """The first true value of condition()."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"not within {timeout:.0f} s: {what}")
        time.sleep(every)


def missing():
    """Why a Slurm cannot be had here; None when it can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    if not os.path.isdir(ROOT):
        return f"there is no root {ROOT}: scripts/debian_root.sh"
    for name in ("slurmctld", "slurmd", "munged", "sbatch", "nsenter", "unshare", "setpriv", "ip"):
        if not any(os.path.lexists(f"{ROOT}{place}/{name}") for place in PATH.split(":")):
            return f"{name} is not installed in {ROOT}: scripts/deps.sh slurm"
    probe = ["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        return "this system does not let us make namespaces"
    return None


class Slurm:
    """nodes: how many slurmds. hooks: lines of [slurm] in ckptctl.conf."""

    def __init__(self, nodes=5, hooks="", arena="128MiB", service=True):
        self.service, self.count = service, nodes
        self.s = tempfile.mkdtemp(prefix="ckptd-slurm-", dir="/var/tmp")
        self.hosts = {}
        self.agents = {}
        self.coordinator = None
        try:
            self._write(hooks, arena)
            self._start()
        except BaseException:
            self.end()
            raise

    # ---- files ----

    def path(self, *parts):
        return os.path.join(self.s, *parts)

    def _file(self, name, text, mode=0o644):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("{s}", self.s))
        os.chmod(path, mode)
        return path

    def _write(self, hooks, arena):
        os.chmod(self.s, 0o755)
        for name in ("munge", "state", "spool", "run", "log", "control", "out", "store"):
            os.mkdir(self.path(name))
        os.makedirs(self.path("hooks/prolog.d"))
        os.makedirs(self.path("hooks/epilog.d"))
        os.chmod(self.path("munge"), 0o755)
        os.chmod(self.path("out"), 0o1777)
        for i in range(1, self.count + 1):
            os.mkdir(self.path("spool", f"n{i}"))
        with open(self.path("munge/key"), "wb") as key:
            key.write(os.urandom(128))
        os.chmod(self.path("munge/key"), 0o400)
        conf = SLURM_CONF.replace("{timeout}", str(SLURMD_TIMEOUT_S))
        conf = conf.replace("{kill_wait}", str(KILL_WAIT_S)).replace("{count}", str(self.count))
        self._file("slurm.conf", conf)
        racks = [self.nodes()[i:i + 2] for i in range(0, self.count, 2)]
        text = "".join(f"SwitchName=rack{i + 1} Nodes={','.join(nodes)}\n"
                       for i, nodes in enumerate(racks))
        self._file("topology.conf", f"{text}SwitchName=spine Switches=rack[1-{len(racks)}]\n")
        spank = self._spank()
        self.has_spank = os.path.exists(spank)
        self._file("plugstack.conf", f"optional {spank}\n" if self.has_spank else "")
        # 22.05 knows no "disabled"; later ones find no file system of cgroups that would do.
        self._file("cgroup.conf", f"CgroupPlugin={'autodetect' if ROOT == '/' else 'disabled'}\n")
        addresses = "".join(f"10.77.0.{i} n{i}\n" for i in range(1, self.count + 1))
        self._file("hosts", f"127.0.0.1 localhost\n10.77.0.254 ctl\n{addresses}")
        self._file("ckptd.conf", AGENT_CONF.replace("{arena}", arena))
        self._file("ckptctl.conf", f"[slurm]\n{hooks}\n")
        self._file("hooks/prolog.d/90-site", SITE_PROLOG, 0o755)
        self._file("hooks/epilog.d/10-site", SITE_EPILOG, 0o755)
        # Ours, as they are installed, but for where ckptctl and its configuration are.
        for name in ("prolog.d/50-ckptd", "epilog.d/50-ckptd", "task_prolog"):
            with open(os.path.join(HOOKS, name), encoding="utf-8") as file:
                text = re.sub(r"(?m)^ctl=.*$", f"ctl={BIN}/ckptctl", file.read())
            text = text.replace('exec "$ctl" ', f'exec "$ctl" --config={self.s}/ckptctl.conf ')
            self._file(f"hooks/{name}", text, 0o755)
        text = "".join(f"{i * i % 97} sheep and {i} goats went by.\n" for i in range(4000))
        self._file("text", text)

    def _spank(self):
        """The plugin for the Slurm that runs: it is of one major version."""
        if ROOT == "/":
            return os.path.join(BUILD, "lib", "spank_ckpt.so")
        plugin = self.path("spank_ckpt.so")
        if shutil.which("cc") is not None and os.path.isdir(f"{ROOT}/usr/include/slurm"):
            os.mkdir(self.path("include"))
            os.symlink(f"{ROOT}/usr/include/slurm", self.path("include/slurm"))
            source = f"{SOURCE}/slurm/spank/spank_ckpt"
            subprocess.run(["cc", "-shared", "-fPIC", "-isystem", self.path("include"),
                            f"-Wl,--version-script={source}.map", "-o", plugin, f"{source}.c"],
                           check=True)
        return plugin

    # ---- life ----

    def environment(self, **more):
        keep = {k: v for k, v in os.environ.items() if k.startswith(("LC_", "LANG"))}
        return {**keep, "PATH": PATH, "SLURM_CONF": self.path("slurm.conf"), **more}

    def _host(self, name, address):
        self.hosts[name] = Host(name, address, self.path("hosts"), self.path("roots", name), ROOT,
                                {os.path.realpath(path) for path in (SOURCE, BUILD, self.s)})
        return self.hosts[name]

    def _start(self):
        ctl = self.ctl = self._host("ctl", "10.77.0.254")
        self.net = Network(ctl)
        for i in range(1, self.count + 1):
            self.net.join(self._host(f"n{i}", f"10.77.0.{i}"))
        munge = [f"--{k}={self.s}/munge/{v}" for k, v in
                 {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log",
                  "seed-file": "seed"}.items()]
        ctl.must("munged", "--force", *munge, env=self.environment())
        self.start_coordinator()
        ctl.must("slurmctld", env=self.environment())
        for i in range(1, self.count + 1):
            self.start_node(f"n{i}")
        self.wait_idle(self.nodes())

    def start_coordinator(self):
        self.coordinator = self.ctl.start(
            self.path("log/ckptctld.log"), f"{BIN}/ckptctld", "--config=/dev/null",
            "--listen=10.77.0.254:7471", f"--state-directory={self.s}/store",
            f"--socket={self.s}/run/ckptctld.sock", "--heartbeat=200ms", "--lease=2s",
            "--disconnect-grace=500ms", "--resend=150ms", "--restore-settle=3s",
            "--ended-timeout=5s", env=self.environment())
        wait_until("the coordinator is ready", lambda: self.ckptctl("status").returncode == 0)

    def start_agent(self, node):
        host = self.hosts[node]
        self.agents[node] = host.start(
            self.path(f"log/ckptd-{node}.log"), f"{BIN}/ckptd", f"--config={self.s}/ckptd.conf",
            env=self.environment())

    def signal_agent(self, node, number):
        """The agent itself: what was started is the nsenter before it."""
        process = self.hosts[node].must("pgrep", "-x", "ckptd").split()[0]
        self.hosts[node].must("kill", f"-{int(number)}", process)
        if number == signal.SIGCONT:
            self.agents[node].send_signal(number)  # nsenter stops with its child

    def start_node(self, node):
        host = self.hosts[node]
        host.must("mkdir", "-p", "/run/ckptd")
        if self.service:
            self.start_agent(node)
            wait_until(f"the agent of {node} has joined", lambda: self.joined(node))
        host.must("slurmd", "-N", node, env=self.environment())

    def bring_back(self, node):
        """A lost node, repaired: empty memory, a new slurmd and agent."""
        self.net.join(self._host(node, self.hosts[node].address))
        self.start_node(node)

    def end(self):
        for host in self.hosts.values():
            host.lose()
        shutil.rmtree(self.s, ignore_errors=True)

    # ---- Slurm ----

    def nodes(self):
        return [f"n{i}" for i in range(1, self.count + 1)]

    def slurm(self, *words, user=None, timeout=60):
        return self.ctl.run(*words, user=user, timeout=timeout, env=self.environment(), cwd="/tmp")

    def must(self, *words, user=None, timeout=60):
        done = self.slurm(*words, user=user, timeout=timeout)
        if done.returncode != 0:
            raise Failure(f"{' '.join(words)}: {done.stderr.strip()} {done.stdout.strip()}")
        return done.stdout.strip()

    def submit(self, body, *options, user=USER, nodes=3, name="job"):
        """A batch job with one task a node; body is its script. Returns its number."""
        out = self.path("out", f"{name}-%j.log")
        script = self._file(f"out/{name}-{time.monotonic_ns()}.sh", "#!/bin/sh\n" + body, 0o755)
        text = self.must("sbatch", "--parsable", f"--nodes={nodes}", f"--ntasks={nodes}",
                         "--ntasks-per-node=1", f"--output={out}", "--open-mode=append",
                         *options, script, user=user)
        return int(text.split(";")[0])

    def job(self, number):
        text = self.must("scontrol", "-o", "show", "job", str(number))
        return dict(re.findall(r"(\w+)=(\S*)", text))

    def state(self, number):
        return self.job(number)["JobState"]

    def wait_state(self, number, *states, timeout=60):
        return wait_until(f"job {number} is {' or '.join(states)}",
                          lambda: self.state(number) in states, timeout)

    def job_nodes(self, number):
        return self.must("scontrol", "show", "hostnames", self.job(number)["NodeList"]).split()

    def node_states(self):
        return dict(line.split() for line in
                    self.must("sinfo", "-h", "-N", "-p", "work", "-o", "%N %T").splitlines())

    def wait_idle(self, nodes, timeout=60):
        wait_until(f"{nodes} are idle",
                   lambda: all(self.node_states().get(n) == "idle" for n in nodes), timeout)

    def output(self, number, name="job"):
        path = self.path("out", f"{name}-{number}.log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def hooks_log(self):
        path = self.path("log/hooks")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()

    def control(self, name, text=""):
        """Makes a site hook slow or fail: slow-NODE, fail-NODE. None takes it away."""
        if text is None:
            os.unlink(self.path("control", name))
        else:
            self._file(f"control/{name}", text)

    # ---- ckptd ----

    def ckptctl(self, *words, user=None, host=None):
        where = self.hosts[host] if host else self.ctl
        coordinator = f"--coordinator={self.s}/run/ckptctld.sock"
        return where.run(f"{BIN}/ckptctl", f"--config={self.s}/ckptctl.conf", coordinator, *words,
                         user=user, env=self.environment())

    def ask(self, *words, user=None):
        done = self.ckptctl("--json", *words, user=user)
        if done.returncode != 0:
            raise Failure(f"ckptctl {' '.join(words)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def joined(self, node):
        return any(n["node"] == node and n["joined"] for n in self.ask("nodes")["nodes"])

    def domains(self):
        return {n["node"]: n["domain"] for n in self.ask("nodes")["nodes"]}

    def run_of(self, number, user=USER):
        """The run as the coordinator knows it; None while it does not."""
        for run in self.ask("runs")["runs"]:
            if run["run"].endswith(f"/{number}") and run["uid"] == user:
                return run
        return None

    def checkpoints(self, run, user=USER):
        done = self.ckptctl("--json", f"--user={user}", "list", run)
        return json.loads(done.stdout)["checkpoints"] if done.returncode == 0 else []

    def latest(self, number, user=USER):
        run = self.run_of(number, user)
        return run["latest"] if run and run["latest"] is not None else -1

    def log_of(self, name):
        with open(self.path("log", f"{name}.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def tails(self, lines=25):
        text = ""
        for name in sorted(os.listdir(self.path("log"))):
            with open(self.path("log", name), encoding="utf-8", errors="replace") as file:
                text += f"---- {name}\n" + "".join(file.readlines()[-lines:])
        for name in sorted(os.listdir(self.path("out"))):
            if name.endswith(".log"):
                with open(self.path("out", name), encoding="utf-8", errors="replace") as file:
                    text += f"---- {name}\n" + "".join(file.readlines()[-lines:])
        return text
