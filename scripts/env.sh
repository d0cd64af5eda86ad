# shellcheck shell=bash
# Sourced by the other scripts: stands in the project's root, with the tools of
# .tools/ on the PATH.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
# Node, where setup.sh had to install one.
export PATH="$PWD/.tools/node/bin:$PATH"
# Where pip puts packages for this project, see setup.sh.
PYTHON_TOOLS="$PWD/.tools/python"

say() { printf '==> %s\n' "$*" >&2; }

die() {
    say "$@"
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# apt_install PACKAGE...: as root, else by sudo if it asks for no password, else
# says what to type.
apt_install() {
    local line="apt-get install -y --no-install-recommends $*"
    local as_root=env
    has apt-get || die "install $* with the package manager of this system, then run this again"
    if [ "$(id -u)" -ne 0 ]; then
        if ! has sudo || ! sudo -n true 2>/dev/null; then
            die "root must install $*. Type this, then run this again:  sudo $line"
        fi
        as_root="sudo -n env"
    fi
    say "installing $* with apt-get"
    # shellcheck disable=SC2086 # both are several words on purpose
    $as_root apt-get update -q >&2 && $as_root DEBIAN_FRONTEND=noninteractive $line >&2
}
