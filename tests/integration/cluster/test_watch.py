# SPDX-License-Identifier: Apache-2.0
"""ckptctl --watch: pictures on a terminal, tables or documents elsewhere, and how it ends."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from harness import IntegrationTest
from process import environment, program

ERASE = "\x1b[H\x1b[2J"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"


class Terminal:
    """A process on a terminal of some rows."""

    def __init__(self, command, rows):
        self.screen, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 60, 0, 0))
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end,
                                        start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                        env={**environment(), "NO_COLOR": "1"})
        os.close(end)
        self.seen = ""

    def read_until(self, found, limit_s=20.0):
        """Reads on until found(what was printed) is true."""
        end = time.monotonic() + limit_s
        while not found(self.seen):
            ready, _, _ = select.select([self.screen], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"not seen in {self.seen!r}")
            self.seen += os.read(self.screen, 65536).decode()

    def pictures(self):
        """Each whole one, as lines."""
        parts = self.seen.split(ERASE)[1:]
        return [part.split("\x1b[?7h")[0].replace("\x1b[?7l", "").split("\r\n")
                for part in parts if "\x1b[?7h" in part]


class Watch(IntegrationTest):
    def command(self, site, *words):
        return [program("ckptctl"), *words, f"--coordinator={site.coordinator.socket}"]

    def on_terminal(self, site, *words, rows=40):
        terminal = Terminal(self.command(site, *words), rows)
        self.addCleanup(os.close, terminal.screen)
        self.addCleanup(terminal.process.wait)
        self.addCleanup(terminal.process.kill)
        return terminal

    def into_pipe(self, site, *words, lines):
        """What it printed until there were so many lines, and its exit code after SIGINT."""
        with subprocess.Popen(self.command(site, *words), stdout=subprocess.PIPE, text=True,
                              env=environment()) as process:
            said = "".join(process.stdout.readline() for _ in range(lines))
            process.send_signal(signal.SIGINT)
            said += process.stdout.read()
            return said, process.wait(20)

    def test_a_terminal_shows_one_picture_after_another(self):
        site = self.cluster(2)
        terminal = self.on_terminal(site, "nodes", "--watch=1")
        terminal.read_until(lambda seen: seen.count(ERASE) >= 3)
        first = terminal.pictures()[0]
        self.assertRegex(first[0], rf"^{TIME}, every 1 s; Ctrl-C ends$")
        self.assertTrue(first[2].startswith("NODE"), first)
        self.assertEqual(sorted(line.split()[0] for line in first[3:5]), ["n0", "n1"], first)
        # What goes wrong is in the picture, and it goes on; so does what comes back.
        site.coordinator.terminate()
        terminal.read_until(lambda seen: "no coordinator answers" in seen.rsplit(ERASE, 1)[1])
        site.coordinator.start()
        terminal.read_until(lambda seen: "\nn1 " in seen.rsplit("no coordinator", 1)[1])
        os.write(terminal.screen, b"\x03")  # Ctrl-C
        self.assertEqual(terminal.process.wait(20), 0)

    def test_a_picture_is_cut_to_the_screen(self):
        site = self.cluster(4)
        terminal = self.on_terminal(site, "nodes", "--watch", rows=6)
        terminal.read_until(lambda seen: "\x1b[?7h" in seen)
        picture = terminal.pictures()[0]
        self.assertEqual(len(picture), 5, picture)
        self.assertRegex(picture[0], r"every 2 s")
        self.assertRegex(picture[4], r"^\.\.\. and 3 lines more than this screen has$")
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.process.wait(20), 0)

    def test_a_pipe_gets_one_table_after_another(self):
        site = self.cluster(2)
        said, code = self.into_pipe(site, "nodes", "--watch=1", lines=10)
        self.assertEqual(code, 0)
        tables = said.split("\n\n")
        for table in tables[:2]:
            lines = table.split("\n")
            self.assertRegex(lines[0], rf"^{TIME}$")
            self.assertTrue(lines[1].startswith("NODE"), lines)
            self.assertEqual(sorted(line.split()[0] for line in lines[2:]), ["n0", "n1"])
        self.assertNotIn("\x1b", said)

    def test_a_program_gets_one_document_after_another(self):
        site = self.cluster(1)
        lines = 2 * len(subprocess.run(self.command(site, "runs", "--json"), text=True, check=True,
                                       stdout=subprocess.PIPE, env=environment())
                        .stdout.splitlines())
        said, code = self.into_pipe(site, "runs", "--watch=1", "--json", lines=lines)
        self.assertEqual(code, 0)
        first, end = json.JSONDecoder().raw_decode(said)
        second, _ = json.JSONDecoder().raw_decode(said[end:].lstrip())
        self.assertEqual(first, {"runs": []})
        self.assertEqual(second, first)

    def test_wrong_words_end_it_and_other_verbs_have_none(self):
        site = self.cluster(1)
        for words, wanted in ((("list", "../x", "--watch"), "is no name of a run"),
                              (("wait", "run", "--watch"), "wait takes no --watch"),
                              (("status", "--watch=0"), "want from 1 to 86400")):
            done = subprocess.run(self.command(site, *words), capture_output=True, text=True,
                                  timeout=20, check=False, env=environment())
            self.assertEqual(done.returncode, 2, done)
            self.assertRegex(done.stderr, re.escape(wanted))
