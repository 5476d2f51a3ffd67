#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# zsh 5.9 of Debian 12 (zsh-static 5.9-4+b15, zsh-common 5.9-4, by apt-get download).
#
# With _arguments '--first[...]' '1:number: ', where the action ": " is the documented way to say
# that nothing can be completed for an argument, "tool --fir<TAB>" lists --first and does not put it
# in, although it is the only match: the message that the action prints counts. With the action
# "()", a list of no words, it is put in. A program whose operand is a number so gets completions
# that look right and complete no flag.
#
# Source: Completion/Base/Utility/_arguments and Completion/Base/Core/_message.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get download -q zsh-static=5.9-4+b15 zsh-common=5.9-4 >/dev/null 2>&1 &&
    for package in *.deb; do dpkg -x "$package" .; done)
cat >"$folder/type.py" <<'PYTHON'
import os
import pty
import select
import sys
import time

folder, action, line = sys.argv[1:]
functions = " ".join(
    path for path, _, _ in os.walk(os.path.join(folder, "usr/share/zsh/functions")))
with open(os.path.join(folder, ".zshrc"), "w", encoding="utf-8") as file:
    file.write(f"""fpath=({functions})
autoload -Uz compinit; compinit -u -D
_tool() {{ _arguments -S '--first[one]' '--file=[two]' '1:number:{action}' }}
compdef _tool tool
PS1='ready> '
""")


def read(fd, until):
    seen, end = b"", time.monotonic() + 30
    while until not in seen and time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            seen += os.read(fd, 65536)
    return seen


pid, fd = pty.fork()
if pid == 0:
    os.environ.update(ZDOTDIR=folder, TERM="dumb", LC_ALL="C")
    shell = next(path for path in ("bin/zsh-static", "usr/bin/zsh-static")
                 if os.path.exists(os.path.join(folder, path)))
    os.execv(os.path.join(folder, shell), ["zsh", "-d", "-i"])
read(fd, b"ready> ")
os.write(fd, line.encode() + b"\t")
time.sleep(3)
os.write(fd, b"|")  # where the cursor is
seen = read(fd, b"|")
line = seen.decode(errors="replace").replace("\r", "\n").splitlines()[-1]
print(line.strip().removeprefix("ready> ").replace(" \b", ""))
os.close(fd)
PYTHON
for action in ' ' '()'; do
    seen=$(python3 "$folder/type.py" "$folder" "$action" 'tool --fir')
    echo "'1:number:$action', tool --fir<TAB>: $seen"
    case $action in
    ' ') [ "$seen" = 'tool --fir|' ] ;;
    *) [ "$seen" = 'tool --first|' ] ;;
    esac
done
