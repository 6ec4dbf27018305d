# What the checks share. Sourced by .ci/run and .ci/check, from the root of the repository.
# shellcheck shell=bash

# Nothing here is compiled twice with a change between.
export CARGO_INCREMENTAL=0

step() {
    printf '\n== %s (at %d s)\n' "$1" "$SECONDS"
}

fail() {
    echo "$1" >&2
    exit 1
}

# Fails if the lines found are any: what is expected, and the lines.
nothing() {
    [ -z "$2" ] || fail "expected $1, found:"$'\n'"$2"
}

# What a check says that cannot run here, so that nobody takes it for passed.
not_checked() {
    echo "NOT CHECKED: $1"
}

# Whether a command is here. More arguments are Debian packages that would bring it.
have() {
    local command=$1
    shift
    command -v "$command" >/dev/null || { [ $# != 0 ] && debian "$@" && command -v "$command" >/dev/null; }
}

# Installs Debian packages, where that is possible.
debian() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
    echo "-- installing $*"
    { apt-get update && apt-get install --yes --no-install-recommends "$@"; } >/dev/null 2>&1
}
