# The commands of this project. `just --list` shows them.

# Build CPython 3.13.5 into /opt/myorg/python-3.13 from nothing
bootstrap:
    scripts/bootstrap

# What needs a C compiler and nothing else: unit tests, command line, configuration, fuzzing
quick:
    cargo test --locked --lib
    cargo test --locked --test docs --test source
    cargo test --locked --test it quick::

# The pipeline on the toy source: needs the headers that CPython needs, and builds no CPython
toy *args:
    cargo test --locked --test it -- on_toy:: recipes:: {{args}}

# All tests; `just test --full` builds further CPythons
test *args:
    scripts/test {{args}}

# What must hold before a change lands
ci:
    .ci/run

# The unit tests
unit:
    cargo test --lib

# Formats the code
fmt:
    cargo fmt

# Formatting, lints, documentation of the code, licences
lint:
    scripts/lint

# Known vulnerabilities of dependencies; needs the network
advisories:
    cargo deny check advisories

# The figures of docs/benchmarks.md
bench *args:
    scripts/bench {{args}}

# Fuzz one target (recipe, version, manifest, archive, elf, image, relocate) for some seconds; docs/testing.md
fuzz target seconds="600":
    mkdir -p fuzz/corpus/{{target}}
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} fuzz/corpus/{{target}} tests/data/fuzz/{{target}} -- -max_total_time={{seconds}} -rss_limit_mb=1500 -timeout=20 -max_len=8192
