//! Reads the versions of GCC's coverage files: notes (`.gcno`) and training data (`.gcda`).

use crate::domain::profile::DataVersion;

/// The first four bytes of a `.gcda` file, in big-endian order.
const DATA: [u8; 4] = *b"gcda";
/// The first four bytes of a `.gcno` file, which the compiler writes beside an object, in big-endian order.
const NOTES: [u8; 4] = *b"gcno";

/// Returns the version of a `.gcda` file, or `None` if it is not one.
#[must_use]
pub fn data_version(bytes: &[u8]) -> Option<DataVersion> {
    version(bytes, DATA)
}

/// Returns the version of a `.gcno` file, or `None` if it is not one.
#[must_use]
pub fn notes_version(bytes: &[u8]) -> Option<DataVersion> {
    version(bytes, NOTES)
}

/// Returns the version of a file of the given kind. A file begins with its kind and its version, two words
/// in the byte order of the machine that wrote it.
fn version(bytes: &[u8], kind: [u8; 4]) -> Option<DataVersion> {
    let mut magic: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    let mut version: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    if magic != kind {
        magic.reverse();
        version.reverse();
    }
    (magic == kind).then_some(DataVersion(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_are_read_and_nothing_else() {
        let version = Some(DataVersion(*b"B22*"));
        assert_eq!(data_version(b"adcg*22B and more"), version);
        assert_eq!(data_version(b"gcdaB22*"), version);
        assert_eq!(notes_version(b"oncg*22B"), version);
        for other in [&b""[..], b"adcg", b"oncg*22B", b"\x7fELF\x02\x01\x01\x00"] {
            assert_eq!(data_version(other), None);
        }
    }
}
