//! The token that lets somebody give orders: who can read the data directory may.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::RngExt;

/// The file in the data directory that holds the token while the node runs; only its owner reads it.
pub const TOKEN_FILE: &str = "api.token";
/// Hexadecimal digits of a token.
const TOKEN_DIGITS: usize = 64;

/// What an order must carry. Made anew at each start, so one that leaked ends with the process.
#[derive(Clone)]
pub struct Token(blake3::Hash);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(blake3::Hash::from_bytes(rand::rng().random()))
    }

    /// Leaves it in a file that only the owner can read, instead of any that is there.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Made anew, so that it is nobody else's file and no link.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(self.0.to_hex().as_bytes())?;
        file.write_all(b"\n")
    }

    /// The token that a running node has left.
    ///
    /// # Errors
    /// What the system says, or that it is no token.
    pub fn read(path: &Path) -> io::Result<Self> {
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let mut text = String::new();
        file.take(TOKEN_DIGITS as u64 + 2).read_to_string(&mut text)?;
        blake3::Hash::from_hex(text.trim_end()).map(Self).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// What goes into the header `Authorization`.
    #[must_use]
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0.to_hex())
    }

    /// Whether this is the header's value; takes as long whatever differs.
    #[must_use]
    pub fn is_in(&self, header: &str) -> bool {
        let said = header.strip_prefix("Bearer ").and_then(|text| blake3::Hash::from_hex(text).ok());
        said.is_some_and(|said| said == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_its_owners_and_new_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(TOKEN_FILE);
        fs::write(&path, "an old one").unwrap();
        let (token, other) = (Token::generate(), Token::generate());
        token.write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(token.is_in(&Token::read(&path).unwrap().header()));
        assert!(!token.is_in(&other.header()) && !token.is_in("") && !token.is_in(&token.header()["Bearer ".len()..]));
        assert_eq!(format!("{token:?}"), "Token");
        fs::write(&path, "nonsense").unwrap();
        assert!(Token::read(&path).is_err());
    }
}
