//! How much a run of the tests does, and which tests may be skipped. `docs/testing.md` describes both.

/// Set to `1`, everything is done as often as it can be: `scripts/test --full`.
const FULL: &str = "PYKEEL_TEST_FULL";

/// Whether this is the full run.
pub fn is_full() -> bool {
    std::env::var_os(FULL).is_some_and(|value| value == "1")
}

/// How often something is done: in the full run, and else.
pub fn count<T>(full: T, reduced: T) -> T {
    if is_full() { full } else { reduced }
}
