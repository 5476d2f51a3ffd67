#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# libucx-cu12 1.22.0 (UCX); seen in 1.14.1, 1.16.0 and 1.21.0 too. Needs a C compiler.
#
# A time of whole seconds that TCP sockets get is a second less in some processes: with
# UCX_TCP_KEEPIDLE=2s one of two ends sets TCP_KEEPIDLE to 1, half of what was asked for, and the
# default of 10 s is 9. The time is counted in ticks of the processor's clock, whose rate each
# process measures, and made seconds again by cutting: 1.9999999 is 1. What needs two seconds must
# ask for 2500ms.
#
# Source: src/uct/tcp/tcp_base.c, uct_tcp_time_seconds(); src/ucs/time/time.h.
set -eu
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    --target "$folder" libucx-cu12==1.22.0
chmod +x "$folder/libucx/bin/ucx_perftest"
cat >"$folder/tell.c" <<'SOURCE'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int setsockopt(int fd, int level, int name, const void *value, socklen_t bytes)
{
    static int (*next)(int, int, int, const void *, socklen_t);

    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "setsockopt");
    }
    if (level == IPPROTO_TCP && name == TCP_KEEPIDLE) {
        FILE *file = fopen(getenv("TELL"), "a");
        fprintf(file, "%d\n", *(const int *)value);
        fclose(file);
    }
    return next(fd, level, name, value, bytes);
}
SOURCE
cc -shared -fPIC -o "$folder/tell.so" "$folder/tell.c" -ldl
export UCX_TLS=tcp UCX_NET_DEVICES=lo TELL="$folder/told" LD_LIBRARY_PATH="$folder/libucx/lib"
perftest() { LD_PRELOAD=$folder/tell.so timeout 60 "$folder/libucx/bin/ucx_perftest" "$@"; }

free_port='import socket; print(socket.create_server(("", 0)).getsockname()[1])'
# The seconds that sockets of six processes got, each once.
sockets() {
    : >"$TELL"
    for _ in 1 2 3; do
        port=$(python3 -c "$free_port")
        perftest -p "$port" >/dev/null 2>&1 &
        server=$!
        sleep 2
        perftest 127.0.0.1 -p "$port" -t ucp_am_bw -s 4096 -n 1000 >/dev/null
        wait "$server"
        server=
    done
    sort -nu "$TELL" | tr '\n' ' '
}

seen=
for asked in 2 3 5 10; do
    got=$(UCX_TCP_KEEPIDLE=${asked}s sockets)
    echo "UCX_TCP_KEEPIDLE=${asked}s: $got"
    case " $got" in *" $((asked - 1)) "*) seen=yes ;; esac
done
got=$(UCX_TCP_KEEPIDLE=2500ms sockets)
echo "UCX_TCP_KEEPIDLE=2500ms: $got"
[ "$got" = "2 " ] && [ -n "$seen" ]
