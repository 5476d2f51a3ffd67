#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what ckptd's programs and libraries are made of and linked with, as SPDX 2.3 (JSON).

Usage: sbom.py BUILD        a folder that cmake has built in; on a Debian

Each shared library that a program needs is named by the Debian package and version that brought it.
"""
import json
import os
import re
import subprocess
import sys
import time


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(path):
    """The files of the shared libraries that the loader takes for a program: {soname: path}."""
    found = re.findall(r"^\s*(\S+) => (/\S+) ", said("ldd", path), re.M)
    return {name: os.path.realpath(file) for name, file in found}


def package_of(path):
    """(package, version, source) of Debian that has a file; None: no package has."""
    for known in (path, path.removeprefix("/usr")):
        done = subprocess.run(["dpkg-query", "--search", known], check=False, capture_output=True,
                              text=True)
        if done.returncode == 0:
            name = done.stdout.split(": ")[0].split(",")[0]
            return tuple(said("dpkg-query", "--show", "--showformat",
                              "${Package} ${Version} ${source:Package}", name).split())
    return None


def identity(text):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", text)


def main():
    build = sys.argv[1]
    version = re.search(r"project\(ckptd VERSION (\S+)", open(
        os.path.join(os.path.dirname(__file__), "../CMakeLists.txt"), encoding="utf-8").read())[1]
    programs = [os.path.join(build, "bin", name) for name in sorted(os.listdir(
        os.path.join(build, "bin"))) if name.startswith("ckptd") or name in ("ckptctld", "ckptctl",
                                                                            "ckptbench")]
    libraries = [os.path.join(build, "lib", name) for name in (
        "libckpt.so.0", "libckpt_fanout.so.1", "libckpt_kernels.so.1")]
    programs += [name for name in libraries if os.path.exists(name)] # kernels: where nvcc was
    ours = identity("ckptd")
    packages = {"ckptd": {"SPDXID": ours, "name": "ckptd", "versionInfo": version,
                          "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
                          "licenseConcluded": "Apache-2.0", "licenseDeclared": "Apache-2.0",
                          "copyrightText": "NOASSERTION"}}
    relations = {("SPDXRef-DOCUMENT", "DESCRIBES", ours)}
    for program in programs:
        for file in needed(program).values():
            owner = package_of(file)
            if owner is None:
                continue
            name, of, source = owner
            packages.setdefault(name, {
                "SPDXID": identity(name), "name": name, "versionInfo": of,
                "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
                "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
                "copyrightText": "NOASSERTION", "externalRefs": [{
                    "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                    "referenceLocator": f"pkg:deb/debian/{name}@{of}?source={source}"}]})
            relations.add((ours, "DYNAMIC_LINK", identity(name)))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=False, capture_output=True,
                            text=True).stdout.strip() or "unknown"
    json.dump({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"ckptd-{version}",
        "documentNamespace": f"https://ckptd.invalid/{version}/{commit}",
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                         "creators": ["Tool: ckptd-scripts/sbom.py"]},
        "packages": [packages[name] for name in sorted(packages)],
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in sorted(relations)],
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
