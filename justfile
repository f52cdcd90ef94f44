# The commands of this project. `just --list` shows them.

# Build CPython 3.13.5 into /opt/myorg/python-3.13 from nothing
bootstrap:
    scripts/bootstrap

# All tests
test *args:
    scripts/test {{args}}

# What must hold before a change lands
ci:
    .ci/run

# The tests that need no build
unit:
    cargo test --lib

# The style, mended
fmt:
    cargo fmt

lint:
    cargo clippy --all-targets -- -D warnings

# Known vulnerabilities of dependencies; needs the network
advisories:
    cargo deny check advisories

# The figures of docs/benchmarks.md
bench *args:
    scripts/bench {{args}}

# Fuzz one target (recipe, version, manifest, archive, elf, relocate) for some seconds; docs/testing.md
fuzz target seconds="600":
    mkdir -p fuzz/corpus/{{target}}
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} fuzz/corpus/{{target}} tests/data/fuzz/{{target}} -- -max_total_time={{seconds}} -rss_limit_mb=1500 -timeout=20 -max_len=8192
