# SPDX-License-Identifier: Apache-2.0
"""Names of settings, with the programs themselves: variables that nobody reads are told, every
key's variable is on the page of --help, and --check-config refuses what a start would, in its
words."""

import os
import re
import socket
import subprocess
import tempfile
import unittest

from process import environment, program

PROGRAMS = ("ckptd", "ckptctld", "ckptctl")


def run(name, *arguments, **variables):
    """(exit code, standard output, standard error)."""
    said = subprocess.run([program(name), *arguments], capture_output=True, text=True, timeout=60,
                          check=False, env=environment(**variables))
    return said.returncode, said.stdout, said.stderr


def check(name, *arguments, file="", **variables):
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write(file)
        config.flush()
        code, out, err = run(name, f"--config={config.name}", "--check-config", *arguments,
                             **variables)
        return code, out, err.replace(config.name, "FILE")


class Variables(unittest.TestCase):
    def test_one_that_is_not_read_is_told_with_the_nearest(self):
        for name, variable, line in (
            ("ckptd", "CKPT_LISTEN", "CKPT_LISTEN is not read; did you mean CKPT_AGENT_LISTEN?"),
            ("ckptd", "CKPT_COORDINATOR",
             "CKPT_COORDINATOR is read by ckptctl; ckptd reads CKPT_AGENT_COORDINATOR"),
            ("ckptd", "CKPT_SOCKET",
             "CKPT_SOCKET is read by libckpt and ckptctl; ckptd reads CKPT_AGENT_SOCKET"),
            ("ckptd", "CKPT_ARENA_BYTE", "did you mean CKPT_ARENA_BYTES?"),
            ("ckptctld", "CKPT_LEASE",
             "CKPT_LEASE is not read; did you mean CKPT_COORDINATOR_LEASE?"),
            ("ckptctl", "CKPT_COORDINATER", "did you mean CKPT_COORDINATOR?"),
            ("ckptctl", "CKPT_DIR", "CKPT_DIR is not read by any program of ckptd"),
        ):
            with self.subTest(name=name, variable=variable):
                code, _, err = check(name, **{variable: "/x"})
                self.assertEqual(code, 0, err)
                self.assertEqual(err.splitlines()[0].split(": ", 1)[0], name)
                self.assertIn(line, err)
        # So does a start, in the log.
        code, _, err = run("ckptd", "--config=/dev/null", "--listen=192.0.2.1:1",
                           "--arena-bytes=2MiB", "--arena-segment-bytes=2MiB",
                           "--socket=/nonexistent/a/b", CKPT_LISTEN="x")
        self.assertEqual(code, 1, err)
        self.assertRegex(err, r"level=warn event=variable_not_read text=.*CKPT_AGENT_LISTEN")
        code, _, err = run("ckptbench", "digest", "--check-config", CKPT_BYTES="1")
        self.assertIn("CKPT_BYTES is not read", err)

    def test_each_key_has_its_variable_on_the_page_of_help(self):
        for name in PROGRAMS:
            page = run(name, "--help")[1]
            keys = re.findall(r"^# ?(\w+) (?:=|has)|^(\w+) =", check(name)[1], re.MULTILINE)
            variables = set(re.findall(r"\[(CKPT_[A-Z0-9_]+)\]", page))
            self.assertGreater(len(keys), 5)
            self.assertEqual(len(variables), len(keys), (name, sorted(variables), keys))
            # They are read, and no program takes another's for a slip.
            for other in PROGRAMS:
                _, _, err = check(other, **{variable: "" for variable in variables})
                self.assertNotIn("is not read", err, (name, other))

    def test_what_the_tests_and_the_packages_read_is_known(self):
        names = ("CKPT_BIN", "CKPT_RUN", "CKPT_LIBRARY", "CKPT_START", "CKPT_TIME_SCALE",
                 "CKPT_TEST_TRANSPORT", "CKPT_ATTEMPT", "CKPT_VENV", "CKPT_SOAK")
        for name in PROGRAMS:
            _, _, err = check(name, **{variable: "x" for variable in names})
            self.assertEqual(err, "", name)


class CheckConfig(unittest.TestCase):
    def test_ckptctl_refuses_an_address_that_is_none(self):
        for arguments, variables, reason in (
            (["--coordinator=foo"], {}, "--coordinator: 'foo' is no address"),
            ([], {"CKPT_COORDINATOR": "foo"}, "CKPT_COORDINATOR: 'foo' is no address"),
            ([], {"CKPT_CKPTCTL_COORDINATOR": "*:1"}, "CKPT_CKPTCTL_COORDINATOR: '*:1' is no"),
        ):
            code, out, err = check("ckptctl", *arguments, **variables)
            self.assertEqual((code, out), (2, ""), err)
            self.assertIn(reason, err)
        code, _, err = check("ckptctl", file="[ckptctl]\ncoordinator = foo\n")
        self.assertEqual(code, 2)
        self.assertIn("FILE:2: [ckptctl] coordinator: 'foo' is no address", err)

    def test_it_refuses_what_a_start_refuses_in_the_same_words(self):
        cases = (
            ("ckptd", "[agent]\n\nlisten = localhost\n", "FILE:3: [agent] listen: 'localhost' is"),
            ("ckptd", "[agent]\ncoordinator = foo\n", "FILE:2: [agent] coordinator: 'foo' is no"),
            ("ckptd", "[agent]\nlisten = 300.1.1.1:5\n", "'300.1.1.1:5' is no address"),
            ("ckptd", "[agent]\nadvertise = *:7\n", "FILE:2: [agent] advertise: '*:7'"),
            ("ckptd", "[agent]\nnode = a,b\n", "FILE:2: [agent] node = a,b: must be"),
            ("ckptd", "[agent]\nnode = a/b\n", "FILE:2: [agent] node = a/b: with a / in it"),
            ("ckptd", "[agent]\ntopology = /nonexistent\n", "/nonexistent: No such file"),
            ("ckptd", "[arena]\nbytes = 4MiB\n",
             "FILE:2: [arena] bytes = 4MiB: is less than default of --arena-segment-bytes = "
             "256MiB"),
            ("ckptd", "[arena]\nsegment_bytes = 3MiB\n", "must be a multiple of 2MiB"),
            ("ckptd", "[arena]\nnuma_nodes = 0,x\n", "FILE:2: [arena] numa_nodes = 0,x: must be"),
            ("ckptd", "[transport]\nspec = nosuch\n", 'unknown transport "nosuch"; known: loop'),
            ("ckptctld", "[coordinator]\nlisten = /run/x\n",
             "FILE:2: [coordinator] listen: agents"),
            ("ckptd", f"[agent]\nsocket = /{'x' * 120}\n", "is longer than 107 characters"),
            ("ckptctld", f"[coordinator]\nsocket = /{'x' * 120}\n", "is longer than 107"),
            ("ckptctld", "[coordinator]\nheartbeat = 2s\nlease = 3s\n",
             "FILE:3: [coordinator] lease = 3s: must be more than twice "
             "FILE:2: [coordinator] heartbeat = 2s"),
        )
        for name, file, reason in cases:
            with self.subTest(name=name, file=file):
                code, out, err = check(name, file=file)
                self.assertEqual((code, out), (2, ""), err)
                self.assertIn(reason, err)
                with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
                    config.write(file)
                    config.flush()
                    started = run(name, f"--config={config.name}")
                self.assertEqual(started[0], 2, started)
                self.assertEqual(started[2].replace(config.name, "FILE"), err)

    def test_it_shows_what_the_machine_gives(self):
        code, out, err = check("ckptd")
        self.assertEqual(code, 0, err)
        self.assertIn(f"\n# node = {socket.gethostname()} ; the host name\n", out)
        self.assertIn(f"\n# domain = {socket.gethostname()} ; ", out)
        self.assertIn("\n# advertise has no value: what listen is bound to", out)
        # What it prints is a file that holds on other machines too.
        again = check("ckptd", file=out)
        self.assertEqual(again[0], 0, again)
        self.assertIn(f"\n# node = {socket.gethostname()} ; the host name\n", again[1])
        code, out, err = check("ckptd", "--node=n7")
        self.assertRegex(out, r"\nnode = n7 +; --node\n")
        self.assertIn("\n# domain = n7 ; ", out)
        self.assertFalse(os.path.exists("/dev/shm/ckptd-n7"))
