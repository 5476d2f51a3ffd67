#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_completions.py bash|zsh - a real shell on a terminal, the TAB key, and what stands then.

Environment: CKPT_COMPLETIONS (the folder of the scripts that the programs print). Exit status: 0
passed, 1 failed, 77 the shell is not installed.
"""

import os
import pty
import re
import select
import shutil
import sys
import tempfile
import time

SCRIPTS = os.environ["CKPT_COMPLETIONS"]
LINE_KEY = "\x18d"  # C-x d prints the line as it stands
BASH = f"""
unset HISTFILE
PS1='> '
bind 'set enable-bracketed-paste off' 2>/dev/null
bind 'set completion-query-items 0'
bind 'set page-completions off'
for program in ckptctl ckptd ckptctld ckptbench; do source {SCRIPTS}/$program; done
show_line() {{ echo; echo "LINE<$READLINE_LINE>"; }}
bind -x '"\\C-xd": show_line'
echo READY
"""
ZSH = f"""
PS1='> '
fpath=({SCRIPTS} $fpath)
autoload -Uz compinit && compinit -u -d $ZDOTDIR/dump
LISTMAX=0
zstyle ':completion:*' list-prompt ''
show-line() {{ print; print -r -- "LINE<$BUFFER>"; zle reset-prompt }}
zle -N show-line
bindkey '^Xd' show-line
echo READY
"""


class Shell:
    """A shell that reads a terminal of ours."""

    def __init__(self, name, home):
        with open(os.path.join(home, ".zshrc" if name == "zsh" else "rc"), "w",
                  encoding="utf-8") as file:
            file.write(ZSH if name == "zsh" else BASH)
        with open(os.path.join(home, "a-file.safetensors"), "w", encoding="utf-8"):
            pass
        environment = {"HOME": home, "ZDOTDIR": home, "TERM": "dumb", "PATH": os.environ["PATH"],
                       "COLUMNS": "200", "LINES": "200", "LC_ALL": "C"}
        command = [name, "-i"] if name == "zsh" else [name, "--rcfile", f"{home}/rc", "-i"]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(home)
            os.execvpe(name, command, environment)
        self.read_until("READY")

    def read_until(self, text, limit_s=20.0):
        """What is printed, up to the text."""
        seen, end = "", time.monotonic() + limit_s
        while text not in seen:
            ready, _, _ = select.select([self.terminal], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"no {text!r} in {seen!r}")
            seen += os.read(self.terminal, 65536).decode(errors="replace")
        return seen

    def press(self, keys):
        """What the line is after the keys, and all that was printed meanwhile."""
        os.write(self.terminal, keys.encode())
        os.write(self.terminal, LINE_KEY.encode())
        seen = self.read_until("LINE<")
        seen += self.read_until(">") if ">" not in seen.rsplit("LINE<", 1)[1] else ""
        line = re.search(r"LINE<(.*?)>", seen, re.S).group(1)
        os.write(self.terminal, b"\x15")  # C-u: an empty line
        return line, seen

    def end(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def completes(shell, typed, wanted):
    line, _ = shell.press(typed + "\t")
    assert line.rstrip(" ") == wanted, f"{typed!r} became {line!r}, not {wanted!r}"


def lists(shell, typed, present, absent):
    _, seen = shell.press(typed + "\t\t")
    for word in present:
        assert re.search(rf"(?<![\w-]){re.escape(word)}", seen), f"{typed!r}: no {word!r}: {seen!r}"
    for word in absent:
        assert word not in seen, f"{typed!r} gave {word!r}: {seen!r}"


def check(shell):
    # Verbs, cases, flags of all and of one, values of an enumeration, words behind a verb.
    completes(shell, "ckptctl topo", "ckptctl topology")
    completes(shell, "ckptctl status --wat", "ckptctl status --watch")
    completes(shell, "ckptctl help exp", "ckptctl help export")
    completes(shell, "ckptctl retire --ne", "ckptctl retire --newer")
    completes(shell, "ckptctl wait --tim", "ckptctl wait --timeout=")
    completes(shell, "ckptctl --color=al", "ckptctl --color=always")
    completes(shell, "ckptctl --coordinator /run/x mar", "ckptctl --coordinator /run/x mark")
    completes(shell, "ckptctl --color=never topo", "ckptctl --color=never topology")
    completes(shell, "ckptctl mark run 7 poi", "ckptctl mark run 7 poisoned")
    completes(shell, "ckptctl import run 7 a-f", "ckptctl import run 7 a-file.safetensors")
    completes(shell, "ckptctl export run 7 0 a-f", "ckptctl export run 7 0 a-file.safetensors")
    completes(shell, "ckptd --arena-lock=req", "ckptd --arena-lock=require")
    completes(shell, "ckptctld --log-level=deb", "ckptctld --log-level=debug")
    completes(shell, "ckptbench dig", "ckptbench digest")
    completes(shell, "ckptbench cycle --seg", "ckptbench cycle --segment-bytes=")
    lists(shell, "ckptctl ", ["status", "nodes", "import", "help"], ["--json"])
    lists(shell, "ckptctl wait --", ["--timeout", "--json", "--help"], ["--newer", "--opaque"])
    lists(shell, "ckptctl mark run 7 ", ["healthy", "poisoned", "clear"], ["status"])
    lists(shell, "ckptctl --color=", ["auto", "always", "never"], ["status"])
    lists(shell, "ckptbench ", ["cycle", "raw", "plot"], ["source"])


def main():
    name = sys.argv[1]
    if not shutil.which(name):
        print(f"skipped: {name} is not installed")
        return 77
    with tempfile.TemporaryDirectory(prefix="ckpt_completions_") as home:
        shell = Shell(name, home)
        try:
            check(shell)
        finally:
            shell.end()
    print(f"{name}: command lines are completed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
