#!/usr/bin/env bash
# Builds the example providers that are not in Rust into dist/guests/.
set -euo pipefail
. "$(dirname "$0")/env.sh"

mkdir -p dist/guests

for name in cache-typescript notifications-typescript; do
    js=examples/$name
    scripts/step.py "$name" \
        --input wit --input $js/src --input $js/componentize.mjs --input $js/tsconfig.json \
        --input $js/package.json --input $js/package-lock.json --value "node $(node --version)" \
        --output dist/guests/$name.wasm \
        -- npm --prefix $js run --silent build
done

export PYTHONPATH="$PYTHON_TOOLS"
scripts/step.py "provider in Python" \
    --input wit --input examples/cache-python/provider --input scripts/python-tools.txt \
    --output dist/guests/cache-python.wasm \
    -- python3 "$PYTHON_TOOLS/bin/componentize-py" --wit-path wit --world cache-provider \
    componentize --stub-wasi --python-path examples/cache-python/provider app \
    --output dist/guests/cache-python.wasm
