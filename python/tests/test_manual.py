# SPDX-License-Identifier: Apache-2.0
"""What `pydoc ckptd` shows, which docs/python.md calls the manual."""

import os
import re
import subprocess
import sys

import ckptd

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import ckptd, pydoc
print(pydoc.plain(pydoc.render_doc(ckptd)))
"""


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], check=True, text=True, timeout=300,
                          stdout=subprocess.PIPE, env={**os.environ, "PAGER": "cat"}).stdout


def test_the_manual_has_every_public_name():
    text = run("-m", "pydoc", "ckptd")
    for name in ckptd.__all__:
        if isinstance(getattr(ckptd, name), type):
            assert re.search(rf"^    class {name}\b", text, re.M), name
        else:
            assert re.search(rf"^    {name}\b", text, re.M), name
    # With what they say of themselves.
    assert re.search(r"^    attach\(model", text, re.M)
    for docstring in (ckptd.attach.__doc__, ckptd.Checkpointer.__doc__, ckptd.Handle.__doc__):
        assert docstring.strip().splitlines()[0] in text


def test_the_manual_is_there_without_pytorch():
    text = run("-c", WITHOUT_TORCH)
    assert "class Context" in text
    assert "class Checkpointer" not in text


def test_names_are_listed_without_importing_pytorch():
    said = run("-c", "import ckptd, sys; print('attach' in dir(ckptd), 'torch' in sys.modules)")
    assert said.split() == ["True", "False"]
