//! The three 32-byte names of Shoal, kept apart by type so that none can stand in for another.

use core::fmt;
use core::str::FromStr;

use bincode::{Decode, Encode};

/// A string that is not 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits, got {0:?}")]
pub struct ParseIdError(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The first eight hexadecimal digits: for tables and logs, not for comparing.
            #[must_use]
            pub fn short(&self) -> String {
                self.to_string()[..8].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let hash = blake3::Hash::from_hex(text).map_err(|_| ParseIdError(text.chars().take(80).collect()))?;
                Ok(Self(*hash.as_bytes()))
            }
        }
    };
}

id! {
    /// A node's ed25519 public key. One to one with a libp2p `PeerId`.
    NodeId
}

id! {
    /// BLAKE3 of a run spec's canonical bytes: whoever names a run also says what it is.
    RunId
}

id! {
    /// BLAKE3 of a body's bytes: whoever holds the digest can check the body, whoever sent it.
    Digest
}

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_parse() {
        let digest = Digest::of(b"shoal");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.short().len(), 8);
        assert!("xyz".parse::<RunId>().is_err());
        assert!(digest.to_string()[1..].parse::<NodeId>().is_err());
    }
}
