#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""units.py [--self-test] - what the systemd units must and must not say.

Each rule stands for a way in which a service was, or would be, taken from its users. Exit status:
0 all hold, 1 some do not.
"""

import os
import sys

UNITS = os.path.join(os.path.dirname(__file__), "../../slurm/systemd")
BOTH = ("ckptctld.service.in", "ckptd.service.in")

# (units, section, key, value it must have or None for "must not be set", why)
RULES = [
    (BOTH, "Service", "PrivateUsers", None, "callers' uids become nobody at the UNIX socket"),
    (BOTH, "Service", "Type", "notify", "others wait until it is ready"),
    (BOTH, "Service", "Restart", "on-failure", "what ends by a fault comes back"),
    (BOTH, "Unit", "StartLimitIntervalSec", "0", "a disk away for a minute must not end it"),
    (BOTH[:1], "Service", "RestartPreventExitStatus", "2 3 4", "a failed sync (1) is no end"),
    (BOTH[1:], "Service", "RestartPreventExitStatus", "2", "an agent has no status that ends it"),
    (BOTH[1:], "Service", "RemoveIPC", "no", "the arena outlives the agent"),
    (BOTH[1:], "Service", "PrivateDevices", None, "RDMA devices would be gone"),
]


def read(text):
    """{(section, key): value}, the last one counts."""
    values, section = {}, ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            values[section, key] = value
    return values


def faults(unit, text):
    values = read(text)
    return [
        f"{unit}: {key}={values.get((section, key))}, must be {wanted}: {why}"
        for units, section, key, wanted, why in RULES
        if unit in units and values.get((section, key)) != wanted
    ]


def load(unit):
    with open(os.path.join(UNITS, unit), encoding="utf-8") as file:
        return file.read()


def self_test():
    """Every rule fails for a unit that breaks it."""
    for units, section, key, wanted, _why in RULES:
        for unit in units:
            value = "yes" if wanted is None else "wrong"
            broken = load(unit).replace("[Install]", f"[{section}]\n{key}={value}\n[Install]")
            if not any(f": {key}=" in fault for fault in faults(unit, broken)):
                print(f"{unit}: nobody notices {key}={value}")
                return 1
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    found = [fault for unit in BOTH for fault in faults(unit, load(unit))]
    print("\n".join(found) if found else f"{len(RULES)} rules hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
