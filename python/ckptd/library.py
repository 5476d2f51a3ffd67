# SPDX-License-Identifier: Apache-2.0
"""Finds libckpt and declares what is called of it.

cffi in ABI mode: nothing is compiled, so one wheel serves every Python, and each call into the
library releases the interpreter's lock. What is declared here is what include/ckpt/ckpt.h says; a
test compiles that header and compares sizes and offsets.
"""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache
from typing import Any

import cffi

from .errors import Error

CDEF = """
struct ckpt;
struct ckpt_options {
    uint32_t size;
    const char *socket;
    const char *run;
    uint32_t attempt;
    uint32_t rank;
    uint32_t world;
    uint32_t copies;
    uint32_t timeout_ms;
    uint32_t copy_threads;
    bool reader;
};
struct ckpt_tensor {
    const char *name;
    int dtype;
    uint32_t dimensions;
    uint64_t shape[8];
    const void *data;
    uint64_t bytes;
};
struct ckpt_metadata {
    const char *key;
    const char *value;
};
struct ckpt_info {
    uint64_t step;
    uint32_t attempt;
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;
};
struct ckpt_shard {
    uint64_t step;
    uint32_t attempt;
    uint32_t rank;
    uint32_t world;
    uint32_t digest_kind;
    const void *data;
    uint64_t bytes;
    uint8_t digest[32];
    size_t tensor_count;
    void *private_state;
};
int ckpt_open_reason(const struct ckpt_options *, struct ckpt **, char *, size_t);
void ckpt_close(struct ckpt **);
uint32_t ckpt_attempt(struct ckpt *);
const char *ckpt_reason(const struct ckpt *);
int ckpt_save(struct ckpt *, uint64_t, const struct ckpt_tensor *, size_t,
              const struct ckpt_metadata *, size_t);
int ckpt_prepare(struct ckpt *, uint64_t);
void ckpt_prepare_stop(struct ckpt *);
int ckpt_save_begin(struct ckpt *, uint64_t, const struct ckpt_tensor *, size_t,
                    const struct ckpt_metadata *, size_t, void **);
struct ckpt_device_tensor {
    size_t tensor;
    uint64_t offset;
};
int ckpt_save_gather(struct ckpt *, uint64_t, int, const struct ckpt_device_tensor *, size_t);
struct ckpt_device_source {
    size_t tensor;
    const void *address;
};
int ckpt_save_device(struct ckpt *, uint64_t, const struct ckpt_device_source *, size_t, void *);
struct ckpt_device_report {
    uint32_t size;
    bool is_proven;
    uint64_t bytes;
    uint64_t packed;
    uint64_t nans;
    uint64_t infinities;
    char reason[256];
};
int ckpt_device_report(struct ckpt *, struct ckpt_device_report *);
struct ckpt_device_target {
    const char *name;
    void *address;
    uint64_t bytes;
};
int ckpt_load_device(struct ckpt *, const struct ckpt_shard *, const struct ckpt_device_target *,
                     size_t, void *);
struct ckpt_mapping {
    void *address;
    uint64_t bytes;
    uint64_t generation;
};
int ckpt_watch_mappings(struct ckpt *, void (*)(void *, const struct ckpt_mapping *, bool), void *);
struct ckpt_piece {
    const void *data;
    uint64_t bytes;
};
struct ckpt_replica {
    uint32_t leader;
    uint32_t part;
    uint64_t value;
};
uint64_t ckpt_replica_value(const struct ckpt_piece *, size_t, uint64_t);
int ckpt_save_replica(struct ckpt *, uint64_t, const struct ckpt_replica *);
int ckpt_save_end(struct ckpt *, uint64_t);
int ckpt_save_cancel(struct ckpt *, uint64_t);
int ckpt_wait(struct ckpt *, uint64_t, uint32_t);
int ckpt_wait_persisted(struct ckpt *, uint64_t, uint32_t);
int ckpt_info(struct ckpt *, uint64_t, struct ckpt_info *);
int ckpt_load(struct ckpt *, uint64_t, uint32_t, struct ckpt_shard *);
struct ckpt_range {
    uint64_t step;
    uint32_t attempt;
    uint32_t world;
    uint32_t digest_kind;
    bool is_whole;
    uint64_t shard_bytes;
    uint8_t digest[32];
};
int ckpt_read_range(struct ckpt *, uint64_t, uint32_t, const char *, uint64_t, uint64_t, void *,
                    uint32_t, struct ckpt_range *, struct ckpt_shard *);
int ckpt_fetch(struct ckpt *, uint64_t, uint32_t, uint32_t, struct ckpt_shard *);
void ckpt_unload(struct ckpt *, struct ckpt_shard *);
const char *ckpt_status_name(int);
const char *ckpt_status_text(int);
int ckpt_dtype_from_name(const char *, int *);
unsigned ckpt_dtype_bits(int);
const char *ckpt_version(void);
"""
SONAME = "libckpt.so.0"
# What a library of before them lacks, and is done without.
_LATER = ("ckpt_read_range", "ckpt_wait_persisted")

ffi = cffi.FFI()
ffi.cdef(CDEF)
# The types that are made and cast to, found once: cffi finds a type by its text under a lock that a
# signal's handler, saving inside of a save, would wait for for ever.
C = {text: ffi.typeof(text) for text in (
    "char *", "char[256]", "char[]", "int *", "struct ckpt **", "struct ckpt_device_report *",
    "struct ckpt_device_source[]", "struct ckpt_device_target[]", "struct ckpt_device_tensor[]",
    "struct ckpt_info *", "struct ckpt_metadata[]", "struct ckpt_options",
    "struct ckpt_options *", "struct ckpt_piece[]", "struct ckpt_range *",
    "struct ckpt_replica *", "struct ckpt_shard *", "struct ckpt_tensor[]", "uintptr_t", "void *",
    "void *[]")}


def _from_pkg_config() -> str | None:
    try:
        found = subprocess.run(
            ["pkg-config", "--variable=libdir", "ckpt"],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    path = os.path.join(found, SONAME)
    return path if found and os.path.exists(path) else None


def _from_wheel() -> str | None:
    """The one that a wheel brings along."""
    path = os.path.join(os.path.dirname(__file__), "_lib", SONAME)
    return path if os.path.exists(path) else None


@lru_cache(maxsize=None)
def library() -> Any:
    """libckpt, loaded once: $CKPT_LIBRARY, else the wheel's own, else where the loader looks, else
    where pkg-config says.

    Raises Error when it is nowhere, with what was tried.
    """
    named = os.environ.get("CKPT_LIBRARY")
    tried = []
    for candidate in (
            (lambda: named,) if named else (_from_wheel, lambda: SONAME, _from_pkg_config)):
        path = candidate()
        if path is None:
            continue
        try:
            found = ffi.dlopen(path)
            for name in dir(found):  # found now, and not under cffi's lock later
                if name not in _LATER or hasattr(found, name):
                    getattr(found, name)
            return found
        except OSError as error:
            tried.append(str(error))
    raise Error(
        "CKPT_ERR_SYSTEM",
        "libckpt was not found: install ckptd, or set CKPT_LIBRARY to libckpt.so.0 ("
        + "; ".join(tried) + ")",
    )


def text(pointer: Any) -> str:
    """A C string of the library's, or "" for NULL."""
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode(errors="replace")


def version() -> str:
    """libckpt's version: "0.1.0"."""
    return text(library().ckpt_version())


def has_ranges() -> bool:
    """Whether this libckpt reads parts of shards."""
    return hasattr(library(), "ckpt_read_range")


def has_tier_waits() -> bool:
    """Whether this libckpt tells when a step is in the tier."""
    return hasattr(library(), "ckpt_wait_persisted")


@lru_cache(maxsize=None)
def dtype_number(name: str) -> int:
    """The number that libckpt gives to a type of safetensors, such as "BF16"."""
    out = ffi.new(C["int *"])
    if library().ckpt_dtype_from_name(name.encode(), out) != 0:
        raise Error("CKPT_ERR_DTYPE", f"{name} is no type of the safetensors format")
    return int(out[0])
