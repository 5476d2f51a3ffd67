# SPDX-License-Identifier: Apache-2.0
"""A room is a stair: its files stand one above the other, and each reaches only downwards.

A step is x.c with x.h. It stands above every step of its room whose header it includes or whose
function it calls. Three things are judged:

- the steps have no loop, neither by what they include nor by what they call;
- a header has a file's own functions: what x.h declares, x.c defines;
- a file includes only those headers of the C library that it uses.

A room's face is what other rooms include. It is the ground of the stair, types and promises, and
may be kept by any file of the room.

Usage: stairs.py [FOLDER]      judge the rooms there (default: this repository)
       stairs.py --draw ROOM   the floors of a room, the topmost first
       stairs.py --self-test   each rule finds a planted violation, and none where there is none
"""
import collections
import os
import re
import sys
import tempfile

# Faces besides room/room.h, and why they are.
FACES = {
    "bench/ckptbench/cluster": {"real_fleet": "a fleet as a case sees it"},
    "bench/ckptbench/report": {"report": "what a case tells", "report_inside": "its parts"},
    "src/base": {"log": "a program says where lines go, of which log.h speaks"},
    "src/ckptctl": {"ctl": "what a verb is, and what it is told"},
    "src/client": {"look": "the only header that another room includes"},
    "src/topology": {"node_topology": "the room has two nouns", "rail": "the second"},
    "src/transport": {"backend": "what a backend sees, as transport.h is what a user sees"},
    "src/wire": {"message_codec": "what those who send and receive include"},
}
# Two halves of one thing, which may call each other.
PAIRS = {
    ("src/transport/verbs", "lane", "reader"): "a lane carries reads, a read waits for its lane",
    ("src/transport/ucx", "region", "source"): "a source offers regions, a region ends its offers",
}
# Rooms that are not in order yet, by rule: none.
NOT_YET = {"loop": set(), "header": set(), "include": set()}

# What is used of a header of the C library.
USES = {
    "assert.h": r"assert\b|static_assert\b",
    "ctype.h": r"(is[a-z]+|to(upper|lower))\(",
    "errno.h": r"errno\b|E[A-Z0-9]{2,}\b|program_invocation",
    "inttypes.h": r"(PRI|SCN)[a-zA-Z0-9]+\b|strto[ui]max\b",
    "poll.h": r"p?poll\b|POLL\w+|pollfd\b",
    "pthread.h": r"pthread_|PTHREAD_",
    "stdarg.h": r"va_",
    "stdatomic.h": r"atomic_|ATOMIC_|_Atomic|memory_order",
    "stdio.h": r"\w*printf\b|FILE\b|f?put[sc]\w*\b|std(in|out|err)\b|\w*getline\b|getdelim\b|"
               r"f(open|close|gets|read|write|flush|eof|error|ileno|dopen|seek\w*|tell\w*)\b|"
               r"sscanf\b|rename\w*\b|remove\b|EOF\b|getc\w*\b|set(vbuf|linebuf)\b|perror\b|"
               r"open_memstream\b",
    "string.h": r"(mem(cpy|set|cmp|move|chr|mem|rchr|pcpy)|str\w+|stp\w+|basename)\b",
    "sys/mman.h": r"m(map|unmap|lock\w*|advise|sync|protect|incore|remap)\b|"
                  r"(PROT|MAP|MADV|MFD|MCL)_|memfd_|shm_",
    "time.h": r"(clock_\w+|timespec|tm|time_t|\w*mktime|strftime|localtime\w*|gmtime\w*|nanosleep|"
              r"timegm|CLOCK_\w+|timer_\w+|strptime)\b",
}


PROTOTYPE = re.compile(
    r"^(?!static\b|typedef\b)[a-z_][\w *\n]*?\b(\w+)\([^;{}]*?\)[^;{}]*;", re.M)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def bare(text):
    """Without comments and the insides of strings; lines stay lines."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", blank, text, flags=re.S)
    text = re.sub(r"__attribute__\(\((?:[^()]|\([^()]*\))*\)\) ?", "", text)
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', lambda m: '""', text)


class Room:
    """The files of one folder, by step."""

    def __init__(self, folder, name):
        self.name = name
        self.steps = {}  # step -> {".c": text, ".h": text}
        path = os.path.join(folder, name)
        for file in sorted(os.listdir(path)):
            step, kind = os.path.splitext(file)
            if kind in (".c", ".h"):
                self.steps.setdefault(step, {})[kind] = read(os.path.join(path, file))
        own = os.path.basename(name) if name.count("/") == 1 else None
        self.faces = {own, *FACES.get(name, ())} & set(self.steps)
        self.codes = {step: {kind: bare(text) for kind, text in files.items()}
                      for step, files in self.steps.items()}

    def includes(self, step, kind):
        """The steps of this room whose headers a file includes."""
        prefix = re.sub(r"^(src|bench/\w+)/", "", self.name) + "/"
        for target in re.findall(r'^\s*#\s*include "([^"]+)\.h"', self.steps[step].get(kind, ""),
                                 re.M):
            target = target.removeprefix(prefix)
            if target in self.steps and target != step:
                yield target

    def defined(self):
        """Function -> the step that defines it; the first by name where a build chooses one."""
        found = {}
        for step, files in sorted(self.codes.items(), reverse=True):
            for match in re.finditer(r"^(?!static\b|typedef\b|#)[a-z_][\w *()\n,]*?\b(\w+)"
                                     r"\([^;{}]*?\)\s*\{", files.get(".c", ""), re.M):
                found[match.group(1)] = step
        return found

    def declared(self, step):
        """The functions that a header declares."""
        return set(PROTOTYPE.findall(self.codes[step].get(".h", "")))

    def calls(self):
        """(step, step) -> a function of the second that the first names."""
        arrows = {}
        defined = self.defined()
        for step, files in self.codes.items():
            code = PROTOTYPE.sub("", "\n".join(files.values()))
            called = set(re.findall(r"(?<![\w.>])(\w+)\s*\(", code))
            given = set(re.findall(r"[=,(&?:{]\s*&?(\w+)\s*(?=[,;)}:])", code))
            for word in (called | given) & set(defined):
                is_variable = re.search(r"\b(?!return|else|case)\w+[ *]+%s\s*[,;=)\[]" % word, code)
                if defined[word] != step and (word in called or not is_variable):
                    arrows.setdefault((step, defined[word]), word)
        return arrows

    def arrows(self):
        """(step, step) -> why. A face is two steps: its header is the ground, its file is not."""
        found = {}
        for step in self.steps:
            for kind in self.steps[step]:
                source = step + ".h" if kind == ".h" and step in self.faces else step
                for target in self.includes(step, kind):
                    name = target + ".h" if target in self.faces else target
                    found[(source, name)] = f"{step}{kind} includes {target}.h"
        for (source, target), word in self.calls().items():
            found.setdefault((source, target), f"{source} calls {word}() of {target}.c")
        return found


def loops(arrows):
    """The strongly connected parts of more than one step (R. Tarjan)."""
    graph = collections.defaultdict(list)
    for source, target in arrows:
        graph[source].append(target)
    number, low, stack, parts = {}, {}, [], []

    def visit(node):
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in graph[node]:
            if other not in number:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == number[node]:
            part = stack[stack.index(node):]
            del stack[stack.index(node):]
            parts.append(part)

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return [part for part in parts if len(part) > 1]


def allowed(room, arrows):
    """The arrows without those of the pairs."""
    pairs = {frozenset(pair[1:]) for pair in PAIRS if pair[0] == room}
    return {arrow: why for arrow, why in arrows.items() if frozenset(arrow) not in pairs}


def judge_stair(room, report):
    arrows = allowed(room.name, room.arrows())
    for part in loops(arrows):
        inside = sorted(why for arrow, why in arrows.items() if set(arrow) <= set(part))
        report("loop", f"{room.name}: a loop of {', '.join(sorted(part))}: " + "; ".join(inside))


def judge_headers(room, report):
    defined = room.defined()
    for step in room.steps:
        if step in room.faces:
            continue
        for function in sorted(room.declared(step)):
            home = defined.get(function)
            if home not in (None, step):
                report("header", f"{room.name}/{step}.h: {function}() is of {home}.c")


def judge_includes(name, text, report):
    code = re.sub(r"^#include.*$", "", bare(text), flags=re.M)
    for header in re.findall(r"^#include <([^>]+)>", text, re.M):
        if header in USES and not re.search(r"(?<!\w)(" + USES[header] + ")", code):
            report("include", f"{name}: it includes <{header}> and uses nothing of it")


def rooms(folder):
    for top in ("src", "bench"):
        for path, _, files in sorted(os.walk(os.path.join(folder, top))):
            if any(file.endswith((".c", ".h")) for file in files):
                yield os.path.relpath(path, folder)


def judge(folder, not_yet):
    found, count = [], 0
    seen = {rule: set() for rule in not_yet}
    for name in rooms(folder):
        def report(rule, line, name=name):
            seen.setdefault(rule, set()).add(name)
            if name not in not_yet.get(rule, ()):
                found.append(line)

        room = Room(folder, name)
        judge_stair(room, report)
        judge_headers(room, report)
        for step, files in room.steps.items():
            for kind, text in files.items():
                count += 1
                judge_includes(f"{name}/{step}{kind}", text, report)
    for rule, names in not_yet.items():
        for name in sorted(names - seen[rule]):
            found.append(f"stairs.py: {name} is in order by the rule '{rule}': take it off NOT_YET")
    return found, count


def draw(folder, name):
    room = Room(folder, name)
    arrows = allowed(name, room.arrows())
    floors = {}

    def floor(step, above=()):
        if step not in floors and step not in above:
            below = [t for s, t in arrows if s == step]
            floors[step] = 1 + max((floor(t, (*above, step)) for t in below), default=-1)
        return floors.get(step, 0)

    for step in {s for arrow in arrows for s in arrow} | (set(room.steps) - room.faces):
        floor(step)
    for level in sorted(set(floors.values()), reverse=True):
        print(" ".join(sorted(step for step, at in floors.items() if at == level)))


PLANTED = {
    "src/good/good.h": "struct good;\nint good_top(struct good *g);\nint good_low(void);\n",
    "src/good/good.c": '#include "good/good.h"\n#include "good/low.h"\n'
                       "int good_top(struct good *g)\n{\n    return low(g);\n}\n",
    "src/good/low.h": '#include "good/good.h"\nint low(struct good *g);\n',
    "src/good/low.c": '#include "good/low.h"\n#include <string.h>\n/* good_top() calls it */\n'
                      "int low(struct good *low)\n{\n    return low ? (int)strlen(\"\") : 0;\n}\n"
                      "int good_low(void)\n{\n    return 0;\n}\n",
    "src/includes/a.h": '#include "includes/b.h"\n',
    "src/includes/b.h": "",
    "src/includes/b.c": '#include "includes/a.h"\n',
    "src/calls/ground.h": "int one(void);\nint two(int x);\n",
    "src/calls/one.c": '#include "calls/ground.h"\nint one(void)\n{\n    return two(1);\n}\n',
    "src/calls/two.c": '#include "calls/ground.h"\n'
                       "int two(int x)\n{\n    return x ? one() : 0;\n}\n",
    "src/pointers/p.c": "int q(int x);\nint p(void)\n{\n    return use(q);\n}\n",
    "src/pointers/q.c": "int p(void);\nint q(int x)\n{\n    return p();\n}\n",
    "src/unused/u.c": "#include <string.h>\nint u(void)\n{\n    return 0; /* memcpy() */\n}\n",
    "bench/b/low/low.h": "int low(void);\n",
    "bench/b/low/low.c": '#include "low/low.h"\n#include "low/other.h"\n'
                         "int low(void)\n{\n    return other();\n}\n",
    "bench/b/low/other.h": '#include "low/low.h"\nint other(void);\n',
    "bench/b/low/other.c": "int other(void)\n{\n    return 0;\n}\n",
    "src/done/done.h": "int done(void);\n",
}
EXPECTED = [
    "bench/b/low: a loop of low, other: low.c includes other.h; other.h includes low.h",
    "src/includes: a loop of a, b: a.h includes b.h; b.c includes a.h",
    "src/calls: a loop of one, two: one calls two() of two.c; two calls one() of one.c",
    "src/calls/ground.h: one() is of one.c",
    "src/calls/ground.h: two() is of two.c",
    "src/pointers: a loop of p, q: p calls q() of q.c; q calls p() of p.c",
    "src/unused/u.c: it includes <string.h> and uses nothing of it",
    "stairs.py: src/done is in order by the rule 'loop': take it off NOT_YET",
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        for name, text in PLANTED.items():
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        found, count = judge(folder, {"loop": {"src/done"}})
    wrong = [f"was not found: {line}" for line in EXPECTED if line not in found]
    wrong += [f"not a violation: {line}" for line in found if line not in EXPECTED]
    return wrong, count


def main():
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    if sys.argv[1:2] == ["--draw"]:
        draw(here, sys.argv[2])
        return
    if sys.argv[1:] == ["--self-test"]:
        report, count = self_test()
    else:
        report, count = judge(sys.argv[1] if len(sys.argv) > 1 else here, NOT_YET)
    for line in report:
        print(line)
    print(f"{count} files, {len(report)} violations")
    sys.exit(1 if report or not count else 0)


if __name__ == "__main__":
    main()
