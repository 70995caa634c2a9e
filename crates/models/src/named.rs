//! Enums that are written by name in recipes, flags and model files: one macro gives them their names, parsing with the nearest name in
//! the error, and serde. Owns no enum itself.

use crate::Error;

/// The error for a word that isn't among `names`.
pub(crate) fn unknown(what: &'static str, given: &str, names: &[&str]) -> Error {
    let nearest = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, &given.to_lowercase()), *name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().max(given.len()) / 3 + 1);
    let hint = match nearest {
        Some((_, name)) if !name.eq_ignore_ascii_case(given) => {
            format!("did you mean `{name}`? There are {}", names.join(", "))
        }
        _ => format!("there are {}", names.join(", ")),
    };
    Error::Name { what, given: given.to_owned(), hint }
}

/// An enum whose variants have names.
macro_rules! named {
    ($(#[$meta:meta])* $vis:vis enum $Type:ident ($what:literal) { $($(#[$inner:meta])* $Variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $vis enum $Type { $($(#[$inner])* $Variant,)+ }

        impl $Type {
            /// Every name, as written in recipes and flags.
            pub const NAMES: &'static [&'static str] = &[$($name),+];
            /// Every variant, in the order of the names.
            pub const ALL: &'static [Self] = &[$(Self::$Variant),+];

            /// The name as written in recipes and flags.
            pub fn name(self) -> &'static str {
                match self { $(Self::$Variant => $name),+ }
            }
        }

        impl std::str::FromStr for $Type {
            type Err = $crate::Error;

            fn from_str(given: &str) -> Result<Self, $crate::Error> {
                match given { $($name => Ok(Self::$Variant),)+ _ => Err($crate::named::unknown($what, given, Self::NAMES)) }
            }
        }

        impl std::fmt::Display for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl serde::Serialize for $Type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $Type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let given = <String as serde::Deserialize>::deserialize(deserializer)?;
                given.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use named;
