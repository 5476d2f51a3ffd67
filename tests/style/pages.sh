#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The man page of libckpt has each function of its headers. Each program's has each flag that the
# program's --help has, and its exit codes; the one of ckptctl each flag of each verb too.
#   pages.sh PAGES_DIRECTORY PROGRAM_DIRECTORY
set -eu
pages=$1 programs=$2
command -v man >/dev/null || exit 77
for page in "$pages"/ckptd.8 "$pages"/ckptctld.8 "$pages"/ckptctl.1 "$pages"/ckptbench.1; do
    program=$(basename "$page" | sed 's/\..*//')
    text=$(MANWIDTH=200 MANROFFOPT=-c man -P cat -l "$page" | sed 's/.\x08//g')
    verbs=$("$programs/$program" --help | sed -n '/^Verbs/,/^$/ s/^  \([a-z]*\) .*/\1/p')
    [ "$program" != ckptctl ] || [ -n "$verbs" ]
    flags=$(for verb in "" $verbs; do
        "$programs/$program" ${verb:+"$verb"} --help
    done | grep -o '^ *\(-[A-Za-z], \)\?--[a-z-]*' | sed 's/.*--/--/')
    codes=$("$programs/$program" --help | sed -n '/^Exit status:/,$ s/^  \([0-9]\)  .*/\1/p')
    [ -n "$flags" ] && [ -n "$codes" ]
    for flag in $flags; do
        printf '%s\n' "$text" | grep -qe "$flag" || {
            echo "$page lacks $flag" >&2
            exit 1
        }
    done
    for code in $codes; do
        printf '%s\n' "$text" | sed -n '/^EXIT STATUS/,$p' | grep -q "^ *$code\( \|$\)" || {
            echo "$page lacks exit status $code" >&2
            exit 1
        }
    done
done
include=$(dirname "$0")/../../include/ckpt
text=$(MANWIDTH=1000 MANROFFOPT=-c man -P cat -l "$pages/libckpt.3" | sed 's/.\x08//g')
functions=$(sed -n 's/^CKPT_API.*[ *]\(ckpt_[a-z_]*\)(.*/\1/p' "$include"/*.h)
[ "$(printf '%s\n' "$functions" | wc -l)" -ge 25 ]
for function in $functions; do
    printf '%s\n' "$text" | grep -q "\b$function(" || {
        echo "libckpt.3 lacks $function" >&2
        exit 1
    }
done
