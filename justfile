# Everyday commands.

run:
    cargo run --release -- demo

test:
    cargo test --workspace

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# What goes wrong in life, done to the real program.
faults:
    cargo test -p carillon --test faults

# Fifty simulated weeks of faults, of messages and of calls, and an hour of a line that drops every three seconds.
week:
    CARILLON_WEEKS=50 cargo test --release -p engine --test week --test calls_week
    CARILLON_MINUTES=60 cargo test --release -p engine --test simulated drops

# Every table of docs/performance.md.
bench:
    cargo build --release -p bench
    cargo run --release -p bench --bin dispatch 200000
    cargo run --release -p bench --bin flat
    cargo run --release -p bench --bin import
    cargo run --release -p bench --bin reads
    cargo run --release -p bench --bin calls
    cargo run --release -p bench --bin sound
    cargo run --release -p bench --bin ringing

# Brings printed pages (docs/lifecycle.md) up to date.
docs:
    UPDATE_DOCS=1 cargo test -p campaign
