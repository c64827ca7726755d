//! Who this node is: one ed25519 key in a file of its own, and the names that follow from it.
//!
//! The key file is `identity.key`: the 32-byte seed as 64 hexadecimal digits and a newline, mode
//! 0600. It is created whole or not at all, never overwritten, and refused if anybody else could
//! have read it. Nothing here prints, logs or returns the seed in an error; [`Identity`]'s `Debug`
//! shows the public name only.
//!
//! A [`NodeId`] is the public key, and a libp2p `PeerId` of an ed25519 key is that same key in a
//! wrapper, so [`node_of`] and [`peer_of`] are inverse to each other. A `PeerId` of another kind of
//! key names nobody here.
//!
//! A network may ask that a name cost something: so many leading zero bits in a hash of the key
//! ([`work_bits`]). Making a name then takes its owner 2^bits keys; checking it takes one hash.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use shoal_protocol::id::NodeId;

/// The key's file name inside a node's data directory.
pub const KEY_FILE: &str = "identity.key";
/// The file's length: 64 digits and a newline.
const KEY_FILE_BYTES: usize = 65;
/// Permission bits that let somebody other than the owner in.
const OTHERS: u32 = 0o077;
/// Domain of the hash whose leading zero bits are the work in a name.
const WORK_DOMAIN: &str = "shoal 2026 identity work v1";

/// Why a node has no identity. No variant holds anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The directory or the file cannot be made or read.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read or write the key, so it may no longer be this node's alone.
    #[error(
        "{} can be opened by others (mode {mode:03o}); if nobody has read it, run `chmod 600 {}`, otherwise delete it and the node gets a new identity",
        path.display(), path.display()
    )]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A link, a directory or a device where the key should be.
    #[error("{} is not a plain file; a key is never read through a link", .0.display())]
    NotAFile(PathBuf),
    /// Not 64 hexadecimal digits and a newline.
    #[error("{} does not hold a key (64 hexadecimal digits); restore it, or delete it and the node gets a new identity", .0.display())]
    Malformed(PathBuf),
    /// The key has less work in it than the network asks for.
    #[error(
        "{} has {has} bits of work in it but the network wants {wanted}; move it away and start again, and the node gets a new identity with enough",
        path.display()
    )]
    TooLittleWork {
        /// The key file.
        path: PathBuf,
        /// Leading zero bits it has.
        has: u8,
        /// Leading zero bits it needs.
        wanted: u8,
    },
}

/// A node's secret key. Cloning it is cheap; dropping it wipes it.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.node_id().short())
    }
}

impl Identity {
    /// The identity with this seed: for tests and for nodes that live no longer than a process.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed) }
    }

    /// A new identity from the operating system's randomness, kept nowhere.
    #[must_use]
    pub fn generate() -> Self {
        let pair = ed25519::Keypair::generate();
        let mut seed = [0; 32];
        seed.copy_from_slice(pair.secret().as_ref());
        Self::from_seed(&seed)
    }

    /// A new identity with at least so many bits of work: 2^bits keys on average, each some 10 us.
    #[must_use]
    pub fn generate_with_work(bits: u8) -> Self {
        loop {
            let identity = Self::generate();
            if work_bits(&identity.node_id()) >= bits {
                return identity;
            }
        }
    }

    /// Reads `identity.key` in `dir`, or makes both (0700 and 0600) if there is none.
    ///
    /// # Errors
    /// [`IdentityError`]; an existing file is never replaced, whatever is in it.
    pub fn load_or_create(dir: &Path) -> Result<Self, IdentityError> {
        Self::load_or_create_with_work(dir, 0)
    }

    /// As [`Identity::load_or_create`], for a network that asks for so many bits of work.
    ///
    /// # Errors
    /// [`IdentityError`]; a present key with too little work is refused, not replaced.
    pub fn load_or_create_with_work(dir: &Path, bits: u8) -> Result<Self, IdentityError> {
        let path = dir.join(KEY_FILE);
        let identity = match fs::symlink_metadata(&path) {
            Ok(_) => Self::load(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(dir, &path, bits)?,
            Err(source) => return Err(IdentityError::Io { action: "look at", path, source }),
        };
        let has = work_bits(&identity.node_id());
        if has < bits { Err(IdentityError::TooLittleWork { path, has, wanted: bits }) } else { Ok(identity) }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`IdentityError`] says what is wrong with the file.
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        let failed = |action| move |source| IdentityError::Io { action, path: path.to_owned(), source };
        let plain = fs::symlink_metadata(path).map_err(failed("look at"))?.is_file();
        if !plain {
            return Err(IdentityError::NotAFile(path.to_owned()));
        }
        // A link put there after the look is refused by the open itself.
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed("open"))?;
        let mode = file.metadata().map_err(failed("look at"))?.mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(IdentityError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::with_capacity(KEY_FILE_BYTES + 1);
        file.take(KEY_FILE_BYTES as u64 + 1).read_to_string(&mut text).map_err(failed("read"))?;
        let seed = blake3::Hash::from_hex(text.trim_end()).map_err(|_| IdentityError::Malformed(path.to_owned()))?;
        Ok(Self::from_seed(seed.as_bytes()))
    }

    /// Writes a new key beside its final name and links it there, which fails if somebody else was
    /// quicker; then theirs is the key.
    fn create(dir: &Path, path: &Path, bits: u8) -> Result<Self, IdentityError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Io { action, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("create", dir))?;
        let identity = Self::generate_with_work(bits);
        let draft = dir.join(format!("{KEY_FILE}.{}.{}", std::process::id(), identity.node_id().short()));
        let written = identity.write(&draft).and_then(|()| fs::hard_link(&draft, path));
        let removed = fs::remove_file(&draft);
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Self::load(path),
            written => written.and(removed).map_err(failed("create", path))?,
        }
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))?;
        Ok(identity)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let text = blake3::Hash::from_bytes(self.key.to_bytes()).to_hex();
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    }

    /// The public name.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId(self.key.verifying_key().to_bytes())
    }

    /// The key that signs announces.
    #[must_use]
    pub const fn signing_key(&self) -> &SigningKey {
        &self.key
    }

    /// The same key for libp2p's handshakes.
    #[must_use]
    pub fn keypair(&self) -> Keypair {
        // Any 32 bytes are an ed25519 seed, so this cannot fail.
        Keypair::ed25519_from_bytes(self.key.to_bytes()).unwrap_or_else(|_| unreachable!("32 bytes are a seed"))
    }
}

/// The work in a name: leading zero bits of a hash of the key, at most 255.
#[must_use]
pub fn work_bits(node: &NodeId) -> u8 {
    let mut bits = 0;
    for byte in blake3::derive_key(WORK_DOMAIN, &node.0) {
        bits += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    u8::try_from(bits).unwrap_or(u8::MAX)
}

/// The node behind a `PeerId`, or `None` if its key is not ed25519.
#[must_use]
pub fn node_of(peer: &PeerId) -> Option<NodeId> {
    /// The multihash code of "these bytes themselves": short keys are not hashed.
    const IDENTITY_HASH: u64 = 0;
    let hash = peer.as_ref();
    if hash.code() != IDENTITY_HASH {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?.try_into_ed25519().ok()?;
    Some(NodeId(key.to_bytes()))
}

/// The `PeerId` of a node, or `None` if the 32 bytes are not a point of the curve, so that nobody
/// can hold the key.
#[must_use]
pub fn peer_of(node: &NodeId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(&node.0).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_once_and_kept() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("node");
        let first = Identity::load_or_create(&dir).unwrap();
        let again = Identity::load_or_create(&dir).unwrap();
        assert_eq!(first.node_id(), again.node_id());
        assert_eq!(mode_of(&dir), 0o700);
        assert_eq!(mode_of(&dir.join(KEY_FILE)), 0o600);
        let names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [KEY_FILE], "no draft is left behind");
    }

    #[test]
    fn threads_that_start_together_get_the_same_key() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("node");
        let names: Vec<NodeId> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..8).map(|_| scope.spawn(|| Identity::load_or_create(&dir).unwrap().node_id())).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(names.iter().all(|name| *name == names[0]));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_create(home.path()).unwrap();
        let path = home.path().join(KEY_FILE);
        let secret = fs::read_to_string(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = Identity::load(&path).unwrap_err();
            assert!(matches!(&error, IdentityError::Exposed { mode: said, .. } if *said == mode), "{error}");
            assert!(!error.to_string().contains(secret.trim()));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Identity::load(&path).unwrap().node_id(), identity.node_id());
    }

    #[test]
    fn links_and_nonsense_are_refused_and_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(KEY_FILE);
        let digits = "ab".repeat(32);
        for text in ["", "ab", &digits[1..], &format!("{digits}00"), &digits.replace('a', "g"), "é"] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(Identity::load_or_create(home.path()), Err(IdentityError::Malformed(_))), "{text:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let real = home.path().join("elsewhere");
        fs::rename(&path, &real).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        assert!(matches!(Identity::load(&path), Err(IdentityError::NotAFile(_))));
    }

    #[test]
    fn names_go_both_ways_and_the_secret_stays_inside() {
        let identity = Identity::from_seed(&[7; 32]);
        let peer = identity.keypair().public().to_peer_id();
        assert_eq!(node_of(&peer), Some(identity.node_id()));
        assert_eq!(peer_of(&identity.node_id()), Some(peer));
        assert!(!format!("{identity:?}").contains(&"07".repeat(8)));
        // RFC 8032, section 7.1, test 1: the same bytes must give the same key everywhere.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let seed = *blake3::Hash::from_hex(seed).unwrap().as_bytes();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(Identity::from_seed(&seed).node_id().to_string(), public);
    }

    #[test]
    fn what_is_no_ed25519_key_names_nobody() {
        assert_eq!(node_of(&PeerId::random()), None, "a hashed key");
        let impossible = (0..=255_u8).map(|byte| NodeId([byte; 32])).filter(|node| peer_of(node).is_none()).count();
        assert!(impossible > 64, "about half of all strings are no point of the curve");
    }

    #[test]
    fn work_is_made_kept_and_demanded() {
        let home = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_create_with_work(home.path(), 6).unwrap();
        assert!(work_bits(&identity.node_id()) >= 6);
        assert_eq!(Identity::load_or_create(home.path()).unwrap().node_id(), identity.node_id());
        let refused = Identity::load_or_create_with_work(home.path(), 60).unwrap_err();
        assert!(matches!(&refused, IdentityError::TooLittleWork { wanted: 60, has, .. } if *has >= 6), "{refused}");
        assert!(refused.to_string().contains("move it away"));
        assert_eq!(Identity::load(&home.path().join(KEY_FILE)).unwrap().node_id(), identity.node_id(), "it is still there");
    }

    #[test]
    fn the_work_of_a_name_is_the_same_everywhere() {
        let bits: Vec<u8> = (0..12).map(|byte| work_bits(&NodeId([byte; 32]))).collect();
        assert_eq!(bits, GOLDEN);
        let all = (0..2_000_u32).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes());
        let half = all.filter(|bytes| work_bits(&NodeId(*bytes)) >= 1).count();
        assert!((900..1_100).contains(&half), "{half} of 2000 have a bit");
    }

    const GOLDEN: [u8; 12] = [1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 4, 0];
}
