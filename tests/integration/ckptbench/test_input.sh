#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What ckptbench says to wrong command lines: exit 2 where the request is wrong, with the nearest
# name where there is one; exit 1 where nothing could be measured.
#   test_input.sh BIN_DIRECTORY
set -u
bench=$1/ckptbench
[ -x "$bench" ] || { echo "skipped: $bench is not built"; exit 77; }
work=$(mktemp -d /dev/shm/ckptbench-test.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

# expect CODE WORDS ARGUMENT...: ends with the code, and standard error has the words.
expect() {
    local code=$1 words=$2 got
    shift 2
    timeout 60 "$bench" "$@" >"$work/out" 2>"$work/err"
    got=$?
    if [ $got -ne "$code" ] || ! grep -qF -e "$words" "$work/err"; then
        echo "FAILED: ckptbench $*: exit $got, want $code and \"$words\", said:" >&2
        cat "$work/err" >&2
        failed=1
    fi
}

expect 2 'did you mean raw?' rwa
expect 2 'did you mean --slice-bytes' raw --slize-bytes=1MiB
expect 2 'did you mean ucx:tcp?' raw --transport=ucx:tpc
expect 2 'did you mean verbs?' raw --transport=verb
expect 2 'did you mean ucx:tcp?' cycle --transport=ucxtcp
expect 2 'did you mean lo?' raw --devices=l0
expect 2 'did you mean lo?' serve --transport=ucx:tcp --devices=l0
expect 2 'want a number of bytes' raw --slice-bytes=1MiB,64K
expect 2 'from 1 to 65536' raw --depth=0
expect 2 '3 rails are more than the 1' raw --devices=lo --rails=3
expect 2 'more than 256' raw --depth=1,2,3,4,5,6,7,8,9 --slice-bytes="$(seq -s , 1 32)"
expect 2 'want two' raw --cpus=1
expect 2 'CPU 1023 is not there' raw --cpus=0,1023
expect 2 'did you mean ucp_get?' raw --beside=ucp_gett
expect 2 'did you mean ucp_get?' raw --beside=ucp_gett@1MiB
expect 2 'want a number of bytes' raw --beside=ucp_get@much
expect 2 'want a number of bytes' raw --beside=ucp_get@
expect 2 'is beside verbs' raw --beside=ib_read_bw
expect 2 'not with --connect' raw --connect=127.0.0.1 --beside=ucp_get
expect 2 'does not leave its process' raw --connect=127.0.0.1 --transport=loop
expect 2 'reads of at most' raw --slice-bytes=1GiB --bytes=1MiB
expect 2 'does not leave its process' serve --transport=loop
expect 2 'takes no GPU memory' raw --memory=gpu
expect 2 'takes no GPU memory' raw --memory=gpu --transport=loop
expect 2 '--memory=host' raw --memory=gpu --transport=verbs --beside=ib_read_bw
expect 1 'is "ckptbench serve" running there?' raw --connect=127.0.0.1:1
expect 1 'cannot listen' serve --listen=192.0.2.1:1
expect 1 'cannot write' raw --transport=loop --bytes=1MiB --repeat=1 --json="$work/none/x"
expect 1 'cannot write' raw --transport=loop --bytes=1MiB --repeat=1 --csv="$work/none/x"
expect 2 'did you mean lo?' rails --transport=ucx:tcp --devices=lo,l1
expect 2 'unknown rail' rails --devices=no_such_rail0
expect 2 'unknown rail' register --transport=verbs:no_such_rail0
expect 2 'numa9' rails --map=numa9=mlx5_0
expect 2 'did you mean ucx:tcp?' register --transport=ucx:tpc
if [ ! -d /sys/class/infiniband ] || [ -z "$(ls /sys/class/infiniband)" ]; then
    expect 1 'no RDMA port that is up' rails
    "$bench" raw --transport=verbs --bytes=1MiB >"$work/out" 2>"$work/err"
    if [ $? -ne 2 ] || ! grep -q verbs "$work/err"; then
        echo "FAILED: verbs without a device" >&2
        failed=1
    fi
fi
[ $failed -eq 0 ] && echo ok
exit $failed
