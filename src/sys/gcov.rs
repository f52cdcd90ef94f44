//! GCC's files of notes and training data, as far as it is asked whose they are.

use crate::domain::profile::DataVersion;

/// The first four bytes of a file of training data, in the order of a big-endian machine.
const DATA: [u8; 4] = *b"gcda";
/// The same of a file of notes, which the compiler writes beside an object.
const NOTES: [u8; 4] = *b"gcno";

/// The version of a file of training data; none if it is no such file.
#[must_use]
pub fn data_version(bytes: &[u8]) -> Option<DataVersion> {
    version(bytes, DATA)
}

/// The version of a file of notes; none if it is no such file.
#[must_use]
pub fn notes_version(bytes: &[u8]) -> Option<DataVersion> {
    version(bytes, NOTES)
}

/// A file begins with two words of the machine that made it: its kind, and its version.
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
