//! The words of the trade as plain data: no I/O, nothing that runs.

pub mod artifact;
pub mod comparison;
pub mod configure;
pub mod contents;
pub mod digest;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod image;
pub mod inputs;
pub mod launcher;
pub mod lock;
pub mod manifest;
pub mod plan;
pub mod prefix;
pub mod profile;
pub mod pykeel_lock;
pub mod rebuild;
pub mod reference;
pub mod release;
pub mod sysconfig;
pub mod target;
pub mod version;

/// Implements `Serialize` and `Deserialize` for a type by its `Display` and `FromStr`, so that an
/// identifier has one spelling everywhere.
macro_rules! serde_by_display {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// An enum whose variants each have one name: whatever a user can choose.
pub trait Named: std::str::FromStr<Err = String> + Copy + Send + Sync + 'static {
    /// The names, in the order of the variants.
    fn names() -> Vec<&'static str>;
}

/// Defines an enum whose variants each have one name, with `Display`, `FromStr`, serde, [`Named`] and `ALL`.
macro_rules! named_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name, as it is written everywhere.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl $crate::domain::Named for $name {
            fn names() -> Vec<&'static str> {
                Self::ALL.iter().map(|value| value.name()).collect()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|value| value.name() == text).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|value| value.name()).collect();
                    format!("`{text}` is not one of {}", names.join(", "))
                })
            }
        }

        $crate::domain::serde_by_display!($name);
    };
}

pub(crate) use named_enum;
pub(crate) use serde_by_display;
