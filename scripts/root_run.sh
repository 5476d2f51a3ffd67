#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command in a root that scripts/debian_root.sh has made, in this repository, which is there
# under the path that it has here. Mounts and processes are the command's own and gone with it, and
# so are /tmp, /run and /dev/shm; the network is this machine's.
#
#   root_run.sh FOLDER COMMAND [ARGUMENT]...
#
# Environment: HOME, TERM, JOBS and what begins with CKPT_ are handed on.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
root=$(cd "$1" && pwd)
shift
handed=(HOME="${HOME:-/root}" TERM="${TERM:-dumb}" LC_ALL=C.UTF-8
    PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive)
for name in JOBS "${!CKPT_@}"; do
    [ -z "${!name+set}" ] || handed+=("$name=${!name}")
done

# shellcheck disable=SC2016 # the inner shell expands it
exec env -i "${handed[@]}" \
    unshare --mount --pid --fork --kill-child --propagation private sh -eu -c '
    root=$1 top=$2
    shift 2
    mount --bind "$root" "$root" # or / would be no mount in there
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    for directory in tmp run dev/shm; do
        mount -t tmpfs -o mode=1777 tmpfs "$root/$directory"
    done
    mkdir -p "$root/run/lock" "$root$top"
    mount --bind "$top" "$root$top"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/"
    exec chroot "$root" sh -c "cd \"\$1\" && shift && exec \"\$@\"" sh "$top" "$@"
' sh "$root" "$top" "$@"
