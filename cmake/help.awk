# SPDX-License-Identifier: Apache-2.0
# Parts of a program's --help as scdoc, so that a page says what the program says.
#   part=options  the flags, a term each; part=exit  the exit status; part=verb  usage and text of a
#   verb's page; part=NAME  lines as they are
# Reads the help; prints nothing else.
function escape(text) {
    gsub(/\\/, "\\\\", text)
    gsub(/[_*]/, "\\\\&", text)
    return text
}
function flush_term() {
    if (term != "") {
        printf "%s\n\t%s\n\n", term, escape(words)
    }
    term = ""
    words = ""
}
# "  -n, --node=TEXT   what it is" or "      --domain=TEXT"
function begin_flag(line,    at, flag, letter) {
    flush_term()
    sub(/^ +/, "", line)
    at = match(line, /  +/)
    flag = at ? substr(line, 1, at - 1) : line
    words = at ? substr(line, at + RLENGTH) : ""
    letter = ""
    if (flag ~ /^-[A-Za-z], /) {
        letter = "*" substr(flag, 1, 2) "*, "
        flag = substr(flag, 5)
    }
    at = match(flag, /[[=]/)
    term = letter "*" (at ? substr(flag, 1, at - 1) : flag) "*" (at ? escape(substr(flag, at)) : "")
}
part == "verb" && heading == "" && /^Usage: / {
    usage = $0
    sub(/^Usage: [a-z]+ /, "", usage)
    sub(/ \[OPTION...\]$/, "", usage)
    printf "## %s\n\n```\n", escape(usage)
    getline # the line between
    next
}
/^[A-Z][A-Za-z ]*( \(.*\))?:$/ {
    flush_term()
    heading = $0
    sub(/( \(.*\))?:$/, "", heading)
    next
}
part == "options" && heading == "Options" {
    if ($0 ~ /^\[.*\]$/) {
        flush_term()
        printf "## %s\n\n", $0
    } else if ($0 ~ /^  (-[A-Za-z], |    )--/) {
        begin_flag($0)
    } else if ($0 ~ /^ / && term != "") {
        sub(/^ +/, "")
        words = words (words == "" ? "" : " ") $0
    } else if ($0 == "") {
        flush_term()
        print ""
    } else {
        print escape($0)
    }
    next
}
part == "exit" && heading == "Exit status" {
    if ($0 ~ /^  [0-9]+  /) {
        flush_term()
        term = "*" $1 "*"
        words = $0
        sub(/^ *[0-9]+ +/, "", words)
    } else if ($0 ~ /^ / && term != "") {
        sub(/^ +/, "")
        words = words " " $0
    }
    next
}
part == heading {
    print
}
part == "verb" && heading == "" && !/ --help lists / {
    lines = lines $0 "\n"
}
END {
    if (part == "verb") {
        sub(/\n+$/, "\n", lines)
        printf "%s```\n\n", lines
    }
    flush_term()
}
