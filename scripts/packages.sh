#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds what a site installs, into build/packages: Debian packages of the Debian that this is, a
# wheel of the Python package with libckpt inside, and a list of what is in them (SPDX).
#
#   packages.sh [deb] [wheel] [sbom]      default: all
#
# A package is of the suite that it was built on: scripts/root_run.sh builds those of another one.
set -eu
cd "$(dirname "$0")/.."
JOBS=${JOBS:-$(nproc)}
out=$PWD/${CKPT_PACKAGES:-build/packages}
made=$out/build

build() {
    scripts/deps.sh build optional packages &&
        cmake --preset release -B "$made" -DCKPT_PACKAGING=ON -DCKPT_TESTS=OFF \
            -DCKPT_FAULT_POINTS=OFF -DCMAKE_INSTALL_PREFIX=/usr &&
        cmake --build "$made" --parallel "$JOBS"
}

deb() {
    rm -f "$out"/*.deb
    (cd "$made" && cpack --config CPackConfig.cmake -G DEB -B "$out/deb" >"$out/cpack.log") ||
        { tail -n 20 "$out/cpack.log" >&2; return 1; }
    mv "$out"/deb/*.deb "$out/"
    rm -rf "$out/deb"
    # The project has no address that mail reaches.
    lintian --allow-root --fail-on error \
        --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog "$out"/*.deb
}

wheel() {
    local folder=$out/wheel
    rm -rf "$folder" "$out"/*.whl
    mkdir -p "$folder"
    cp -r python/ckptd python/pyproject.toml "$folder/"
    mkdir "$folder/ckptd/_lib"
    cp "$made/lib/libckpt.so.0" "$folder/ckptd/_lib/"
    strip --strip-unneeded "$folder/ckptd/_lib/libckpt.so.0"
    /usr/bin/python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/python_wheel
    (cd "$folder" && venv/bin/pip wheel --quiet --no-deps --no-build-isolation -w bare .)
    "$folder/venv/bin/python" -m wheel tags --remove --platform-tag "linux_$(uname -m)" \
        "$folder"/bare/*.whl >/dev/null
    PATH=$folder/venv/bin:$PATH auditwheel repair -w "$out" "$folder"/bare/*.whl 2>&1 | tail -n 3
    rm -rf "$folder"
}

sbom() {
    scripts/sbom.py "$made" >"$out/ckptd.spdx.json"
}

mkdir -p "$out"
build >"$out/build.log" 2>&1 || { tail -n 20 "$out/build.log" >&2; exit 1; }
[ $# -gt 0 ] || set -- deb wheel sbom
for what in "$@"; do
    "$what"
done
ls -l "$out"
