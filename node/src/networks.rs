//! Networks: who is meant by `--network`, and what all its nodes must say alike.
//!
//! A network is a small TOML file: its name, how far it reaches, where it is found, and the run that
//! somebody joins who names none. Two are built in, [`LOCAL`] and [`TESTNET`]; a file makes another,
//! and a plain name another that is like `local` in all but its name. The name is part of every
//! protocol id, so nodes of two networks cannot even negotiate a stream.
//!
//! The text may come from a stranger: its length is checked before it is parsed, unknown keys are
//! refused, and only [`Network::parse`] makes a network, so every value of one is within bounds.
//! Nothing here opens a socket.

use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use serde::{Deserialize, Serialize};
use shoal_ml::TaskSpec;
use shoal_protocol::spec::RunSpec;

use crate::atomic;
use crate::swarm::{NetworkName, Secret};

/// The built-in network of one house.
pub const LOCAL: &str = include_str!("../networks/local.toml");
/// The built-in public network.
pub const TESTNET: &str = include_str!("../networks/testnet.toml");
/// The file in a data directory that says which network the node has joined.
pub const NETWORK_FILE: &str = "network.toml";
const BUILT_IN: [(&str, &str); 2] = [("local", LOCAL), ("testnet", TESTNET)];
/// Longest network file, bytes: a run spec and as much again.
pub const NETWORK_BYTES_MAX: u64 = 128 * 1024;
/// Most work an identity may be asked for: 2^24 keys take some minutes of one core.
pub const IDENTITY_BITS_MAX: u8 = 24;
/// Addresses in one list.
const ADDRESSES_MAX: usize = 64;
/// Longest protocol id of a rendezvous, bytes.
const PROTOCOL_BYTES_MAX: usize = 64;
/// Seconds from one announcement at the rendezvous to the next. Public servers forget a provider
/// after 48 hours and its address after 24; below an hour is of no use and bad manners.
const ANNOUNCE_S: RangeInclusive<u64> = 3_600..=79_200;
/// Used where a file says none: three or four times within an address's life.
const ANNOUNCE_S_DEFAULT: u64 = 36_000;

/// How far a network reaches, which decides what its nodes tell each other of their addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One house or one host: every address listened on is told, no address is tested, nothing is
    /// asked of anybody outside.
    Lan,
    /// Strangers: only addresses that proved to be reachable are told, private ranges never.
    #[default]
    Internet,
}

/// A public Kademlia network in which nodes find each other by one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RendezvousConfig {
    /// Its protocol id, such as `/ipfs/kad/1.0.0`.
    pub protocol: StreamProtocol,
    /// Its well-known peers; each address ends in `/p2p/...` and may begin with `/dnsaddr/...`.
    pub bootstrap: Vec<(PeerId, Multiaddr)>,
    /// Mean time from one announcement to the next, 1 to 22 hours.
    pub announce_every: Duration,
}

/// Why a network was refused: where, what it says, what would be right.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum NetworksError {
    /// The file cannot be read.
    #[error("the network file {path} cannot be read: {cause}")]
    #[diagnostic(code(shoal::network::unreadable), help("name a readable file with --network, or one of `local` and `testnet`"))]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        cause: String,
    },
    /// Neither built in, nor a file, nor a name that a network can have.
    #[error("`network` is {value:?}, but must be {expected}")]
    #[diagnostic(
        code(shoal::network::name),
        help("`local` and `testnet` are built in; a file's name ends in .toml or has a / in it")
    )]
    Name {
        /// What was said.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("{origin} line {line}: {message}")]
    #[diagnostic(code(shoal::network::syntax), help("docs/NETWORK.md lists every key of a network file"))]
    Syntax {
        /// The file or the built-in name.
        origin: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong there; names the key.
        message: String,
    },
    /// A value outside its bounds.
    #[error("{origin}: `{key}` is {value}, but must be {expected}")]
    #[diagnostic(code(shoal::network::value), help("correct `{key}`; docs/NETWORK.md lists every key of a network file"))]
    Value {
        /// The file or the built-in name.
        origin: String,
        /// The key, with its section.
        key: &'static str,
        /// What it says.
        value: String,
        /// What would be accepted.
        expected: String,
    },
}

/// What stands in the file of a node that joined a built-in network.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BuiltIn {
    built_in: String,
}

/// What stands in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    identity_bits: u64,
    #[serde(default)]
    bootstrap: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rendezvous: Option<WrittenRendezvous>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<toml::Table>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRendezvous {
    protocol: String,
    bootstrap: Vec<String>,
    #[serde(default = "announce_default")]
    announce_every_s: u64,
}

const fn announce_default() -> u64 {
    ANNOUNCE_S_DEFAULT
}

/// A network, every value within bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    name: NetworkName,
    scope: Scope,
    identity_bits: u8,
    bootstrap: Vec<Multiaddr>,
    secret: Option<Secret>,
    rendezvous: Option<RendezvousConfig>,
    run: Option<RunSpec>,
}

impl Network {
    /// The network that `--network` means: `local`, `testnet`, a file (ends in `.toml` or has a `/`
    /// in it), or a name of one's own for a network that is otherwise like `local`.
    ///
    /// # Errors
    /// [`NetworksError`] names the key, its value and the remedy.
    pub fn load(text: &str) -> Result<Self, NetworksError> {
        match text {
            "local" => Self::parse("local", LOCAL),
            "testnet" => Self::parse("testnet", TESTNET),
            path if Self::is_file(path) => Self::read(Path::new(path)),
            name => {
                let expected = "local, testnet, a network file, or 1 to 32 lower-case letters, digits or '-'";
                let wrong = || NetworksError::Name { value: cut(name), expected };
                Ok(Self { name: NetworkName::new(name).map_err(|_| wrong())?, ..Self::parse("local", LOCAL)? })
            }
        }
    }

    /// Whether this names a file rather than a network.
    #[must_use]
    pub fn is_file(text: &str) -> bool {
        text.contains('/') || text.ends_with(".toml")
    }

    /// The network that a ticket tells of: the built-in one of that name, or else one that nothing
    /// but the ticket's addresses lead to.
    #[must_use]
    pub fn invited(name: NetworkName, scope: Scope, identity_bits: u8, secret: Option<Secret>) -> Self {
        let known = BUILT_IN.iter().find(|(known, _)| *known == name.as_str() && secret.is_none());
        known
            .and_then(|(name, text)| Self::parse(name, text).ok())
            .filter(|network| (network.scope, network.identity_bits) == (scope, identity_bits))
            .unwrap_or(Self { name, scope, identity_bits, bootstrap: Vec::new(), secret, rendezvous: None, run: None })
    }

    fn read(path: &Path) -> Result<Self, NetworksError> {
        let origin = path.display().to_string();
        let unreadable = |cause: String| NetworksError::Unreadable { path: origin.clone(), cause };
        let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let mut text = String::new();
        file.take(NETWORK_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(&origin, &text)
    }

    /// Notes in a data directory that its node belongs to this network. A built-in one is noted by name, so
    /// that a later version's own idea of it holds. The file may hold a secret, so nobody else may read it.
    ///
    /// # Errors
    /// What writing the file fails with.
    pub fn note(&self, data_dir: &Path) -> io::Result<()> {
        let name = self.name.as_str();
        let built_in =
            BUILT_IN.iter().any(|(known, text)| *known == name && Self::parse(known, text).is_ok_and(|own| own == *self));
        let text = if built_in { format!("built_in = \"{name}\"\n") } else { self.to_toml() };
        atomic::write_private(&data_dir.join(NETWORK_FILE), text.as_bytes())
    }

    /// Reads a network's text; `origin` is what errors call it.
    ///
    /// # Errors
    /// [`NetworksError`], as [`Network::load`].
    pub fn parse(origin: &str, text: &str) -> Result<Self, NetworksError> {
        if text.len() as u64 > NETWORK_BYTES_MAX {
            let cause = format!("longer than {NETWORK_BYTES_MAX} bytes");
            return Err(NetworksError::Unreadable { path: origin.to_owned(), cause });
        }
        if let Ok(BuiltIn { built_in }) = toml::from_str(text)
            && let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == built_in)
        {
            return Self::parse(name, text);
        }
        let written: Written = toml::from_str(text).map_err(|error| syntax(origin, text, &error))?;
        let value = |key: &'static str, value: String, expected: &str| NetworksError::Value {
            origin: origin.to_owned(),
            key,
            value: cut(&value),
            expected: expected.to_owned(),
        };
        let name = NetworkName::new(&written.name)
            .map_err(|_| value("name", format!("{:?}", written.name), "1 to 32 lower-case letters, digits or '-'"))?;
        let identity_bits = u8::try_from(written.identity_bits)
            .ok()
            .filter(|bits| *bits <= IDENTITY_BITS_MAX)
            .ok_or_else(|| value("identity_bits", written.identity_bits.to_string(), "between 0 and 24"))?;
        let bootstrap = addresses(&written.bootstrap).ok_or_else(|| {
            value(
                "bootstrap",
                format!("{:?}", written.bootstrap),
                "at most 64 addresses such as /ip4/192.0.2.1/tcp/7462/p2p/<peer id>",
            )
        })?;
        let secret = written.secret.as_ref().map(|text| {
            // The value is not shown: errors end up in logs and chats.
            let wrong = || value("secret", "something else".to_owned(), "64 hexadecimal digits, as `shoal network` makes them");
            blake3::Hash::from_hex(text).map(|hash| Secret(*hash.as_bytes())).map_err(|_| wrong())
        });
        let secret = secret.transpose()?;
        if secret.is_some() && written.rendezvous.is_some() {
            return Err(value(
                "rendezvous",
                "there".to_owned(),
                "left out where there is a secret: strangers cannot help to find it",
            ));
        }
        let rendezvous = written.rendezvous.as_ref().map(|section| rendezvous(section, &value)).transpose()?;
        let run = written.run.as_ref().map(|table| run(table, &value)).transpose()?;
        let bootstrap = bootstrap.into_iter().map(|(_, address)| address).collect();
        Ok(Self { name, scope: written.scope, identity_bits, bootstrap, secret, rendezvous, run })
    }

    /// The name that every protocol id carries.
    #[must_use]
    pub const fn name(&self) -> &NetworkName {
        &self.name
    }

    /// How far it reaches.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Peers to call first, each address with its `/p2p/...`; at most 64.
    #[must_use]
    pub fn bootstrap(&self) -> &[Multiaddr] {
        &self.bootstrap
    }

    /// What only its members know, if it is private.
    #[must_use]
    pub const fn secret(&self) -> Option<Secret> {
        self.secret
    }

    /// The public network through which strangers meet, if any.
    #[must_use]
    pub const fn rendezvous(&self) -> Option<&RendezvousConfig> {
        self.rendezvous.as_ref()
    }

    /// The run of those who name none.
    #[must_use]
    pub const fn run(&self) -> Option<&RunSpec> {
        self.run.as_ref()
    }

    /// Leading zero bits that the hash of a node's key must have, 0 to 24.
    #[must_use]
    pub const fn identity_bits(&self) -> u8 {
        self.identity_bits
    }

    /// The text that [`Network::parse`] reads as this network.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let text = |list: &mut dyn Iterator<Item = &Multiaddr>| list.map(ToString::to_string).collect();
        let written = Written {
            name: self.name.as_str().to_owned(),
            scope: self.scope,
            identity_bits: u64::from(self.identity_bits),
            bootstrap: text(&mut self.bootstrap.iter()),
            secret: self.secret.map(|secret| blake3::Hash::from_bytes(secret.0).to_string()),
            rendezvous: self.rendezvous.as_ref().map(|rendezvous| WrittenRendezvous {
                protocol: rendezvous.protocol.to_string(),
                bootstrap: text(&mut rendezvous.bootstrap.iter().map(|(_, address)| address)),
                announce_every_s: rendezvous.announce_every.as_secs(),
            }),
            run: self.run.as_ref().and_then(|run| toml::from_str(&run.to_toml()).ok()),
        };
        // Strings, numbers and tables that TOML itself gave; the only failures are types it lacks.
        toml::to_string(&written).unwrap_or_else(|_| unreachable!("a table of plain values"))
    }
}

fn rendezvous(
    section: &WrittenRendezvous,
    value: &impl Fn(&'static str, String, &str) -> NetworksError,
) -> Result<RendezvousConfig, NetworksError> {
    let plain = section.protocol.len() <= PROTOCOL_BYTES_MAX && section.protocol.bytes().all(|byte| byte.is_ascii_graphic());
    let protocol = StreamProtocol::try_from_owned(section.protocol.clone()).ok().filter(|_| plain).ok_or_else(|| {
        value(
            "rendezvous.protocol",
            format!("{:?}", section.protocol),
            "a protocol id such as /ipfs/kad/1.0.0, at most 64 characters",
        )
    })?;
    let expected = "1 to 64 addresses such as /dnsaddr/example.org/p2p/<peer id>";
    let bootstrap = addresses(&section.bootstrap)
        .filter(|list| !list.is_empty())
        .ok_or_else(|| value("rendezvous.bootstrap", format!("{:?}", section.bootstrap), expected))?;
    if !ANNOUNCE_S.contains(&section.announce_every_s) {
        return Err(value("rendezvous.announce_every_s", section.announce_every_s.to_string(), "between 3600 and 79200"));
    }
    Ok(RendezvousConfig { protocol, bootstrap, announce_every: Duration::from_secs(section.announce_every_s) })
}

fn run(table: &toml::Table, value: &impl Fn(&'static str, String, &str) -> NetworksError) -> Result<RunSpec, NetworksError> {
    let refused = |error: String| {
        value(
            "run",
            format!("refused ({})", error.split_whitespace().collect::<Vec<_>>().join(" ")),
            "a run spec, as `shoal spec check` accepts it",
        )
    };
    let text = toml::to_string(table).map_err(|error| refused(error.to_string()))?;
    let spec = RunSpec::parse(&text).map_err(|error| refused(error.to_string()))?;
    TaskSpec::parse(spec.task()).map_err(|error| refused(error.to_string()))?;
    Ok(spec)
}

/// Addresses that end in the peer's name: by IP, or by a DNS name where that is what a network has.
fn addresses(list: &[String]) -> Option<Vec<(PeerId, Multiaddr)>> {
    if list.len() > ADDRESSES_MAX {
        return None;
    }
    list.iter()
        .map(|text| {
            let address: Multiaddr = text.parse().ok()?;
            let Some(Protocol::P2p(peer)) = address.iter().last() else { return None };
            let parts: Vec<_> = address.iter().collect();
            let good = match parts.as_slice() {
                [Protocol::Dnsaddr(_), Protocol::P2p(_)] => true,
                [host, way @ .., Protocol::P2p(_)] => {
                    matches!(host, Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_))
                        && matches!(way, [Protocol::Tcp(1..)] | [Protocol::Udp(1..), Protocol::QuicV1])
                }
                _ => false,
            };
            good.then_some((peer, address))
        })
        .collect()
}

/// A value in an error: at most so much of it that the sentence stays one.
fn cut(value: &str) -> String {
    const SHOWN: usize = 160;
    if value.chars().count() <= SHOWN { value.to_owned() } else { value.chars().take(SHOWN).chain("...".chars()).collect() }
}

fn syntax(origin: &str, text: &str, error: &toml::de::Error) -> NetworksError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
    NetworksError::Syntax { origin: origin.to_owned(), line, message: cut(&error.message().replace('\n', " ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_ml::data::digits;

    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    #[test]
    fn the_built_in_ones_are_whole() {
        let local = Network::load("local").unwrap();
        assert_eq!((local.name().as_str(), local.scope(), local.identity_bits()), ("local", Scope::Lan, 0));
        assert!(local.rendezvous().is_none() && local.run().is_none() && local.bootstrap().is_empty());
        let testnet = Network::load("testnet").unwrap();
        assert_eq!((testnet.name().as_str(), testnet.scope(), testnet.identity_bits()), ("testnet", Scope::Internet, 16));
        let rendezvous = testnet.rendezvous().unwrap();
        assert_eq!((rendezvous.protocol.as_ref(), rendezvous.bootstrap.len()), ("/ipfs/kad/1.0.0", 6));
        let foreign = |peer: &PeerId| crate::identity::node_of(peer).is_none();
        assert_eq!(rendezvous.bootstrap.iter().filter(|(peer, _)| foreign(peer)).count(), 5, "RSA keys");
        let split = digits::seeded(0).unwrap();
        let task = shoal_ml::Task::parse(testnet.run().unwrap().task()).unwrap();
        assert_eq!(split.train.check(&task), Ok(()), "`data = digits` fits the default run");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for name in ["local", "testnet", "garden"] {
            let network = Network::load(name).unwrap();
            let again = Network::parse("again", &network.to_toml()).unwrap();
            assert_eq!(again, network);
            assert_eq!(again.run().map(RunSpec::run_id), network.run().map(RunSpec::run_id));
        }
    }

    #[test]
    fn a_private_network_has_a_secret_and_nobody_to_ask() {
        let name = NetworkName::new("ours").unwrap();
        let ours = Network::invited(name, Scope::Internet, 0, Some(Secret([0xab; 32])));
        let text = ours.to_toml();
        assert!(text.contains(&"ab".repeat(32)), "{text}");
        assert_eq!(Network::parse("again", &text).unwrap(), ours);
        let short = Network::parse("x", "name = \"x\"\nsecret = \"5ecre7\"").unwrap_err().to_string();
        assert!(short.contains("`secret`") && !short.contains("5ecre7"), "{short}");
        let asked = TESTNET.replacen("[rendezvous]", &format!("secret = \"{}\"\n[rendezvous]", "ab".repeat(32)), 1);
        assert!(Network::parse("x", &asked).unwrap_err().to_string().contains("left out where there is a secret"));
    }

    #[test]
    fn what_a_node_joined_is_read_from_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let testnet = Network::load("testnet").unwrap();
        let ours = Network::invited(NetworkName::new("ours").unwrap(), Scope::Lan, 3, Some(Secret([7; 32])));
        for network in [testnet, ours] {
            network.note(dir.path()).unwrap();
            let path = dir.path().join(NETWORK_FILE);
            assert_eq!(Network::load(path.to_str().unwrap()).unwrap(), network);
        }
    }

    #[test]
    fn an_invitation_to_a_built_in_network_is_to_all_of_it() {
        let testnet = Network::load("testnet").unwrap();
        let invited = |bits| Network::invited(testnet.name().clone(), testnet.scope(), bits, None);
        assert_eq!(invited(testnet.identity_bits()), testnet);
        assert!(invited(testnet.identity_bits() + 1).rendezvous().is_none(), "another network of that name");
    }

    #[test]
    fn a_plain_name_is_a_network_like_local() {
        let garden = Network::load("garden").unwrap();
        assert_eq!((garden.name().as_str(), garden.scope()), ("garden", Scope::Lan));
        for name in ["", "Garden", "a b", &"x".repeat(33)] {
            assert!(matches!(Network::load(name), Err(NetworksError::Name { .. })), "{name:?}");
        }
    }

    #[test]
    fn a_file_is_a_network_and_a_lost_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.toml");
        let text = format!("name = \"own\"\nbootstrap = [\"/dns4/example.org/tcp/7462/p2p/{PEER}\"]\n");
        std::fs::write(&path, text).unwrap();
        let own = Network::load(path.to_str().unwrap()).unwrap();
        assert_eq!((own.name().as_str(), own.scope(), own.bootstrap().len()), ("own", Scope::Internet, 1));
        let lost = Network::load("/nowhere/net.toml").unwrap_err().to_string();
        assert!(lost.contains("/nowhere/net.toml"), "{lost}");
        std::fs::write(&path, "#".repeat(NETWORK_BYTES_MAX as usize + 1)).unwrap();
        assert!(matches!(Network::load(path.to_str().unwrap()), Err(NetworksError::Unreadable { .. })));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("", "name"),
            ("name = \"a\"\ncolour = 1", "line 2: unknown field `colour`"),
            ("name = \"A\"", "`name` is \"A\""),
            ("name = \"a\"\nscope = \"moon\"", "line 2"),
            ("name = \"a\"\nidentity_bits = 25", "`identity_bits` is 25, but must be between 0 and 24"),
            ("name = \"a\"\nidentity_bits = -1", "line 2"),
            ("name = \"a\"\nbootstrap = [\"/ip4/192.0.2.1/tcp/1\"]", "`bootstrap`"),
            ("name = \"a\"\nbootstrap = [\"nonsense\"]", "`bootstrap`"),
            ("name = \"a\"\n[rendezvous]\nprotocol = \"kad\"\nbootstrap = []", "`rendezvous.protocol`"),
            ("name = \"a\"\n[rendezvous]\nprotocol = \"/kad\"\nbootstrap = []", "`rendezvous.bootstrap`"),
            ("name = \"a\"\n[rendezvous]\nprotocol = \"/kad\"\nbootstrap = []\nperiod = 1", "unknown field `period`"),
            ("name = \"a\"\n[run]\nversion = 1", "`run`"),
        ];
        for (text, naming) in cases {
            let refused = Network::parse("x.toml", text).unwrap_err().to_string();
            assert!(refused.contains(naming) && refused.contains("x.toml") && !refused.contains('\n'), "{text:?}: {refused}");
        }
        let often = format!(
            "name = \"a\"\n[rendezvous]\nprotocol = \"/kad\"\nbootstrap = [\"/ip4/192.0.2.1/tcp/1/p2p/{PEER}\"]\nannounce_every_s = 60"
        );
        let refused = Network::parse("x.toml", &often).unwrap_err().to_string();
        assert!(refused.contains("`rendezvous.announce_every_s` is 60"), "{refused}");
        let many = format!("name = \"a\"\nbootstrap = [{}]", format!("\"/ip4/192.0.2.1/tcp/1/p2p/{PEER}\",").repeat(65));
        assert!(Network::parse("x.toml", &many).unwrap_err().to_string().contains("`bootstrap`"));
    }
}
