# Everyday commands.

test:
    cargo test --workspace

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Brings printed pages (docs/lifecycle.md) up to date.
docs:
    UPDATE_DOCS=1 cargo test -p campaign
