# What the checks share. Sourced by .ci/run and .ci/check, from the root of the repository.
# shellcheck shell=bash

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

# What a check that cannot run here says, so that nobody takes it for passed.
skipped() {
    echo "NOT CHECKED: $1"
}

# Whether a command is here, or could be installed from these Debian packages.
have() {
    local command=$1
    shift
    command -v "$command" >/dev/null || debian "$@" && command -v "$command" >/dev/null
}

# Installs Debian packages, where that is possible. Cargo must not see them unless it is told to.
debian() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
    echo "installing $*"
    { apt-get update && apt-get install --yes --no-install-recommends "$@"; } >/dev/null 2>&1
}
