#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where, and whether the loader then knows the library: ldconfig runs
# for root in a system's prefix, and neither below DESTDIR nor in a prefix of one's own. A system's
# prefix is tried in a mount namespace, where /usr/local and /etc are copies.
#   test_install.sh CMAKE BUILD_DIRECTORY
set -eu
cmake=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

"$cmake" --install "$build" --prefix "$work/own" >"$work/log"
! grep -q ldconfig "$work/log" || fail "ldconfig for a prefix of one's own"
DESTDIR="$work/package" "$cmake" --install "$build" --prefix /usr/local >"$work/log"
! grep -q ldconfig "$work/log" || fail "ldconfig below DESTDIR"
share=$work/own/share
for program in ckptd ckptctld ckptctl ckptbench; do
    [ -s "$share/bash-completion/completions/$program" ] || fail "no completion of $program"
    [ -s "$share/zsh/site-functions/_$program" ] || fail "no completion of $program for zsh"
done
for program in ckptd ckptctld ckptctl; do
    [ -s "$share/doc/ckptd/examples/$program.conf" ] || fail "no example of $program.conf"
    [ ! -d "$build/man" ] || [ -s "$share/man/man5/$program.conf.5" ] || fail "no $program.conf(5)"
done
bash -c "source '$share/bash-completion/completions/ckptctl' && complete -p ckptctl" >"$work/log"
grep -q -- '-F _ckptctl ckptctl' "$work/log" || fail "bash: $(cat "$work/log")"

cat >"$work/system.sh" <<'SH'
set -eu
mount -t tmpfs none /usr/local
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
"$2" --install "$3" --prefix /usr/local >"$1/log"
grep -q 'ldconfig: libckpt.so in /usr/local/' "$1/log"
ldconfig -p | grep -q 'libckpt.so.0 .*/usr/local/'
SH
if unshare --mount true 2>/dev/null; then
    unshare --mount bash "$work/system.sh" "$work" "$cmake" "$build" ||
        fail "a system's prefix: $(tail -3 "$work/log")"
else
    echo "not tried: a system's prefix, which needs root for a mount namespace"
fi
echo ok
