# Installs Debian packages where they are missing; sourced by tests/run and packaging/try.
#
# need_packages NAME...  A name may offer alternatives, "libllhttp-dev|libhttp-parser-dev": any one
# that is installed will do, else the first that this release has is installed. Nothing is touched,
# and the network is not asked, when nothing is missing. Returns 2, having said what to install,
# when something is missing and we may not install it.

packages_installed()
{
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

packages_any_installed()
{
    local name
    for name in ${1//|/ }; do
        packages_installed "$name" && return 0
    done
    return 1
}

# Of the alternatives, the first that apt knows here; else the first.
packages_pick()
{
    local name
    for name in ${1//|/ }; do
        if apt-cache policy "$name" 2>/dev/null | grep -q 'Candidate: [^(]'; then
            echo "$name"
            return
        fi
    done
    echo "${1%%|*}"
}

packages_apt()
{
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@" </dev/null
    else
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@" </dev/null
    fi
}

# Daemons that come along (nginx) are for the tests to start, not for the system.
packages_install_quietly()
{
    local policy=/usr/sbin/policy-rc.d made=no status=0
    if [ "$(id -u)" = 0 ] && [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=yes
    fi
    packages_apt apt-get install -y -q --no-install-recommends "$@" || status=1
    [ "$made" = no ] || rm -f "$policy"
    return $status
}

need_packages()
{
    local missing=() names=() entry
    for entry in "$@"; do
        packages_any_installed "$entry" || missing+=("$entry")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "This is not Debian or its like; please install what gives: ${missing[*]}" >&2
        return 2
    fi
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        echo "Missing packages, and neither root nor sudo to install them. As root:" >&2
        for entry in "${missing[@]}"; do names+=("$(packages_pick "$entry")"); done
        echo "    apt-get install ${names[*]}" >&2
        return 2
    fi
    echo "Installing: ${missing[*]}"
    packages_apt apt-get update -q || true # an old list may still do
    for entry in "${missing[@]}"; do names+=("$(packages_pick "$entry")"); done
    if ! packages_install_quietly "${names[@]}"; then
        echo "apt-get could not install: ${names[*]}" >&2
        return 2
    fi
}

# What it takes to build the programs, without tests.
packages_build=(meson ninja-build pkg-config gcc libc6-dev libuv1-dev libwslay-dev libmbedtls-dev
    liblmdb-dev "libhttp-parser-dev|libllhttp-dev" zlib1g-dev)
