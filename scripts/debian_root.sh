#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes a folder that holds a Debian of some suite, with the packages that scripts/packages lists
# for the named groups. Kept, and made again only when that list or the groups change.
#
#   debian_root.sh SUITE FOLDER [GROUP]...       debian_root.sh trixie build/roots/trixie slurm
#
# Environment: CKPT_DEBIAN_MIRROR; else the mirror of this machine's own apt, else debootstrap's.
# The folder is made whole or not at all, by one at a time. scripts/root_run.sh runs in it.
# Exits 77, with a line that says why, where it cannot be had.
set -eu
cd "$(dirname "$0")/.."
suite=$1
mkdir -p "$(dirname "$2")"
folder=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
shift 2
log=$folder.log
stamp=$({ echo "$suite $*"; cat scripts/packages; } | cksum)

skip() {
    echo "debian_root: $1 (see $log)"
    exit 77
}

own_mirror() {
    apt-get indextargets --format '$(ORIGIN) $(SITE)' 'Created-By: Packages' 'Component: main' \
        2>/dev/null | awk '$1 == "Debian" && $2 !~ /security/ { print $2; exit }'
}

# In FOLDER.new, which becomes FOLDER when it is whole. Nothing that is installed there starts.
make_root() {
    local mirror=${CKPT_DEBIAN_MIRROR:-$(own_mirror)} new=$folder.new
    rm -rf --one-file-system "$new" &&
        debootstrap --variant=minbase --include=ca-certificates "$suite" "$new" \
            ${mirror:+"$mirror"} &&
        printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d" &&
        chmod 755 "$new/usr/sbin/policy-rc.d" &&
        mv "$new" "$folder"
}

# Certificates that this machine trusts beside Debian's: what stands between it and the network.
trust() {
    local site=/usr/local/share/ca-certificates
    cp -r "$site/." "$folder$site/" && scripts/root_run.sh "$folder" update-ca-certificates
}

exec 9>"$folder.lock"
flock 9
if [ "$(cat "$folder/made-of" 2>/dev/null)" = "$stamp" ]; then
    echo "$folder"
    exit 0
fi
: >"$log"
[ "$(id -u)" -eq 0 ] || skip "a root of Debian is made by root alone"
command -v debootstrap >/dev/null || skip "debootstrap is not installed: scripts/deps.sh roots"
if [ ! -d "$folder" ]; then
    make_root >>"$log" 2>&1 || skip "no Debian $suite can be fetched: is there a network?"
fi
trust >>"$log" 2>&1 || skip "certificates of this machine cannot be handed on"
if [ $# -gt 0 ]; then
    scripts/root_run.sh "$folder" dpkg --configure -a >>"$log" 2>&1 # one that was interrupted
    scripts/root_run.sh "$folder" scripts/deps.sh "$@" >>"$log" 2>&1 ||
        skip "packages of ($*) cannot be installed for $suite: is there a network?"
    rm -f "$folder"/var/cache/apt/archives/*.deb
fi
echo "$stamp" >"$folder/made-of"
echo "$folder"
