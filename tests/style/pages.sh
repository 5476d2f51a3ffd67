#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The man page of libckpt has each function of its headers. Each program's has each flag that the
# program's --help has, and its exit codes; the one of ckptctl each flag of each verb too. The pages
# of config files have each key; their examples are config files, as they are and with all '#' off.
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

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for program in ckptd ckptctld ckptctl; do
    text=$(MANWIDTH=200 MANROFFOPT=-c man -P cat -l "$pages/$program.conf.5" | sed 's/.\x08//g')
    "$programs/$program" --example-config >"$work/example.conf"
    sed 's/^#\([a-z0-9_]* = .\)/\1/' "$work/example.conf" >"$work/all.conf"
    for file in example all; do
        env -i "$programs/$program" --check-config --config="$work/$file.conf" >"$work/$file" || {
            echo "$program: its $file.conf is refused" >&2
            exit 1
        }
        sed -i '1d; s/ *;.*//' "$work/$file"
    done
    cmp "$work/example" "$work/all" # what is written there is what holds without it
    grep -q '^[a-z].* = ' "$work/all"
    sed -n 's/^#* *\([a-z0-9_]*\) = .*/\1/p; s/^# \([a-z0-9_]*\) has no value.*/\1/p' "$work/all" |
        while read -r key; do
            printf '%s\n' "$text" | grep -q "#$key =" || {
                echo "$program.conf.5 lacks $key" >&2
                exit 1
            }
        done
done
