#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""links.py [--self-test] - the documentation hangs together.

Every page of docs/ is linked from docs/README.md, that from README.md, and every relative link of
every page goes to a file that is there, and to a heading that it has. Exit status: 0 yes, 1 no.
"""

import glob
import os
import re
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def prose(text):
    """Without what is code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def anchors(text):
    """Of its headings, as they are made where such pages are shown."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(words.strip().replace(" ", "-"))
    return found


def faults(page, text):
    for target in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(os.path.join(ROOT, there)):
            yield f"{page}: {target} is not there"
        elif anchor and there.endswith(".md") and anchor not in anchors(read(there)):
            yield f"{page}: {there} has no heading #{anchor}"


def unlinked(index, pages):
    targets = {target.partition("#")[0] for target in LINK.findall(index)}
    return [page for page in pages if page not in targets and page != "README.md"]


def self_test():
    """Each fault is found."""
    found = list(faults("docs/x.md", "[a](none.md) [b](operating.md#nothing) [c](operating.md)"))
    assert len(found) == 2, found
    assert not list(faults("docs/x.md", "`[a](none.md)`\n```\n[a](none.md)\n```\n"))
    assert unlinked("[a](a.md)", ["a.md", "b.md", "README.md"]) == ["b.md"]
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    pages = [os.path.basename(path) for path in glob.glob(os.path.join(ROOT, "docs/*.md"))]
    found = [f"docs/README.md does not link {page}"
             for page in unlinked(read("docs/README.md"), sorted(pages))]
    found += [f"README.md does not link {page}"
              for page in unlinked(read("README.md"), ["docs/README.md", "docs/quickstart.md"])]
    for path in sorted(glob.glob(os.path.join(ROOT, "*.md")) +
                       glob.glob(os.path.join(ROOT, "docs/*.md")) +
                       glob.glob(os.path.join(ROOT, "slurm/*.md"))):
        page = os.path.relpath(path, ROOT)
        found += faults(page, read(page))
    print("\n".join(found) if found else f"{len(pages)} pages, all linked")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
