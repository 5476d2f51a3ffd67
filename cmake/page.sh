#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a man page of a template: scdoc, in which a line
#   %options PROGRAM [CASE [FLAG]]   stands for the flags that PROGRAM CASE FLAG --help lists
#   %exit PROGRAM [CASE]      for its exit status
#   %verbs PROGRAM            for what PROGRAM help VERB says of each verb
#   %part HEADING PROGRAM     for the lines below that heading
#   %example PROGRAM          for the config file of all keys, each with what it means
#   page.sh SCDOC TEMPLATE PROGRAM_DIRECTORY PAGE
set -eu
scdoc=$1 template=$2 programs=$3 page=$4
awk=$(dirname "$0")/help.awk

# The words of a line, less a missing case.
ask() {
    "$programs/$1" ${2:+"$2"} ${3:+"$3"} --help
}

# Each verb that the program lists: its usage, its text as it is, its options.
verbs() {
    "$programs/$1" --help | awk -v part=Verbs -f "$awk" | awk '/^  [a-z]/ { print $1 }' |
        while read -r verb; do
            "$programs/$1" help "$verb" | awk -v part=verb -f "$awk"
            "$programs/$1" help "$verb" | awk -v part=options -f "$awk"
        done
}

expand() {
    while IFS= read -r line; do
        # shellcheck disable=SC2086 # the line's words
        set -- $line
        case ${1-} in
        %options) ask "$2" "${3-}" "${4-}" | awk -v part=options -f "$awk" ;;
        %exit) ask "$2" "${3-}" | awk -v part=exit -f "$awk" ;;
        %verbs) verbs "$2" ;;
        %part)
            echo '```'
            ask "$3" | awk -v part="$2" -f "$awk" | sed '/^$/d'
            echo '```'
            ;;
        %example)
            echo '```'
            "$programs/$2" --example-config | sed '1,3d'
            echo '```'
            ;;
        %*)
            echo "$template: $line" >&2
            return 1
            ;;
        *) printf '%s\n' "$line" ;;
        esac
    done <"$template"
}

expand >"$page.scd"
"$scdoc" <"$page.scd" >"$page.part"
mv "$page.part" "$page"
