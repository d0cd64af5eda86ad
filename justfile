# The recipes of this project: ./justw RECIPE (it installs `just` if need be).
#
# Long steps go through scripts/step.py, which says what begins and how long it
# took; what it says goes to stderr, so that stdout belongs to the recipe.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments := true

step := "scripts/step.py"
target := env("CARGO_TARGET_DIR", "target")
guest_workspace := "guest-providers/Cargo.toml"
storefront_data := absolute_path(target) / "storefront"

# List the recipes
default:
    @{{ just_executable() }} --justfile "{{ justfile() }}" --list --unsorted

# Install the tools that the build needs; does nothing the second time
setup:
    @scripts/setup.sh >&2

# Build every provider into dist/guests
guests: setup
    @{{ step }} "providers in Rust" -- scripts/guests.sh >&2
    @scripts/examples.sh >&2

# Build everything
build: guests
    @{{ step }} "host" -- cargo build --locked --workspace >&2

# Run every test, then the lints
test: guests
    @{{ step }} "tests of the providers in Rust, native" -- \
        cargo test --locked --workspace --manifest-path {{ guest_workspace }} --target-dir {{ target }}/guest-native
    @{{ step }} "host" -- cargo build --locked --workspace
    @{{ step }} "tests" -- cargo test --locked --workspace
    @scripts/lint.sh

# Run the storefront, a shop on all seven modules, on local providers
#
# Builds the whole workspace: the storefront alone would select other features
# of shared dependencies, and `test` would compile all of those again.
[doc("Run the storefront, a shop on all seven modules, on local providers")]
demo *ARGS: build
    @rm -rf "{{ storefront_data }}" && mkdir -p "{{ storefront_data }}"/{files,analytics}
    @STOREFRONT_DATA="{{ storefront_data }}" "{{ target }}/debug/storefront" "$@"

# Measure: bench [NAME] [--json]
bench *ARGS: guests
    @{{ step }} "benches" -- cargo build --release --locked --workspace --bins >&2
    @"{{ target }}/release/stheno-bench" "$@"

# Look for inputs that break a parser's promise: fuzz [SECONDS] [TARGET]...
fuzz *ARGS: setup
    @scripts/fuzz.sh "$@"

# Check formatting and lints
lint:
    @scripts/lint.sh

# Format all Rust code
fmt:
    cargo fmt --all
    cargo fmt --all --manifest-path {{ guest_workspace }}

# Build the API documentation into target/doc
doc:
    @{{ step }} "documentation" -- cargo doc --locked --workspace --no-deps

# Remove what was built; the tools in .tools stay
clean:
    rm -rf dist guest-providers/target examples/{cache,notifications}-typescript/build
    cargo clean
