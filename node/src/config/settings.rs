//! The keys of a configuration, as file and flags say them, and the one check that makes a
//! [`Config`] of them.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::error::{ConfigError, Origin};
use super::values::{DataSettings, DataSource, Shard};
use super::{CONFIG_BYTES_MAX, Config};
use crate::networks::{NETWORK_FILE, Network};
use crate::swarm::NetworkName;

/// Where a node's files lie: what the verbs need that ask or prepare a node.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Place {
    /// The node's data directory [default: shoal in the XDG data directory]
    #[arg(long, env = "SHOAL_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The node's configuration file [default: config.toml in the data directory]
    #[arg(long, env = "SHOAL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Place {
    /// The data directory, absolute: the flag's, else the named file's, else the user's own.
    ///
    /// # Errors
    /// The named file is refused, or no home is known.
    pub fn data_dir(&self) -> Result<PathBuf, ConfigError> {
        let named = match (&self.data_dir, &self.config) {
            (Some(dir), _) => Some(dir.clone()),
            (None, Some(file)) => File::read(file)?.settings.data_dir,
            (None, None) => None,
        };
        let dir = match named {
            Some(dir) => dir,
            None => home_data_dir().ok_or(ConfigError::NoHome)?,
        };
        Ok(std::path::absolute(&dir).unwrap_or(dir))
    }
}

fn home_data_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    Some(base.join("shoal"))
}

/// Every key of a configuration; one left out takes its default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The data directory, in a file outside it only: [`Place`] has the flag.
    #[arg(skip)]
    pub data_dir: Option<PathBuf>,
    /// The network to belong to: local, testnet, a name of your own or a network file [default: local]
    #[arg(long, env = "SHOAL_NETWORK", value_name = "NAME|FILE")]
    pub network: Option<String>,
    /// Address to listen on; may be repeated [default: TCP and QUIC on port 7462]
    #[arg(long, env = "SHOAL_LISTEN", value_name = "MULTIADDR", value_delimiter = ',')]
    pub listen: Option<Vec<String>>,
    /// Address at which others can reach this node, where it cannot find that out; may be repeated
    #[arg(long, env = "SHOAL_EXTERNAL", value_name = "MULTIADDR", value_delimiter = ',')]
    pub external: Option<Vec<String>>,
    /// Peer to find the network through; may be repeated
    #[arg(long, env = "SHOAL_BOOTSTRAP", value_name = "MULTIADDR", value_delimiter = ',')]
    pub bootstrap: Option<Vec<String>>,
    /// Look for peers on the local network [default: true]
    #[arg(long, env = "SHOAL_MDNS", value_name = "BOOL")]
    pub mdns: Option<bool>,
    /// Ask the router to forward our port, in networks that reach beyond the house [default: true]
    #[arg(long, env = "SHOAL_UPNP", value_name = "BOOL")]
    pub upnp: Option<bool>,
    /// Pass on for peers behind routers, within bounds, while others can reach us [default: true]
    #[arg(long, env = "SHOAL_RELAY", value_name = "BOOL")]
    pub relay: Option<bool>,
    /// What to train on: digits, hamlet or idx:DIRECTORY [default: digits]
    #[arg(long, env = "SHOAL_DATA", value_name = "SOURCE")]
    pub data: Option<String>,
    /// This node's part of the data, as 0/3 [default: all of it]
    #[arg(long, env = "SHOAL_SHARD", value_name = "INDEX/COUNT")]
    pub shard: Option<String>,
    /// How the parts are drawn: iid, dirichlet:ALPHA, shard:N, pathological:N, contiguous or natural [default: dirichlet:0.5]
    #[arg(long, env = "SHOAL_PARTITION", value_name = "HOW")]
    pub partition: Option<String>,
    /// The draw's seed [default: 0]
    #[arg(long, env = "SHOAL_SPLIT_SEED", value_name = "N")]
    pub split_seed: Option<u64>,
    /// File that specs name by its hash, weights or a tokenizer: kept in the data directory; may be repeated
    #[arg(long, env = "SHOAL_ASSET", value_name = "FILE", value_delimiter = ',')]
    pub asset: Option<Vec<String>>,
    /// Where to train: auto, cpu or gpu [default: auto, a GPU where build and machine have one]
    #[arg(long, env = "SHOAL_DEVICE", value_name = "DEVICE")]
    pub device: Option<String>,
    /// Examples in a step of this node; 0 for as many as the run says [default: 0]
    #[arg(long, env = "SHOAL_BATCH", value_name = "N")]
    pub batch: Option<u64>,
    /// Peers that must be there before the first round [default: 0]
    #[arg(long, env = "SHOAL_WAIT_FOR_PEERS", value_name = "N")]
    pub wait_for_peers: Option<u64>,
    /// Most connections that others opened [default: 128]
    #[arg(long, env = "SHOAL_CONNECTIONS_IN", value_name = "N")]
    pub connections_in: Option<u64>,
    /// Most connections that this node opened [default: 32]
    #[arg(long, env = "SHOAL_CONNECTIONS_OUT", value_name = "N")]
    pub connections_out: Option<u64>,
    /// Where the local API listens, loopback only [default: 127.0.0.1:0]
    #[arg(long, env = "SHOAL_API", value_name = "ADDRESS")]
    pub api: Option<String>,
    /// What to log [default: info]
    #[arg(long, env = "SHOAL_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

impl Settings {
    /// What of this is about data.
    #[must_use]
    pub fn data_settings(&self) -> DataSettings {
        let (data, shard) = (self.data.clone(), self.shard.clone());
        DataSettings { data, shard, partition: self.partition.clone(), split_seed: self.split_seed }
    }
}

/// A configuration file that was read.
pub(super) struct File {
    path: PathBuf,
    text: String,
    settings: Settings,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |cause: String| ConfigError::Unreadable { path: path.to_owned(), cause };
        let file = fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let mut text = String::new();
        file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
        if text.len() as u64 > CONFIG_BYTES_MAX {
            return Err(unreadable(format!("longer than {CONFIG_BYTES_MAX} bytes")));
        }
        let settings = toml::from_str(&text).map_err(|error| syntax(path, &text, &error))?;
        Ok(Self { path: path.to_owned(), text, settings })
    }

    /// Reads a data directory's own file, which may not name another data directory.
    pub(super) fn read_own(path: &Path) -> Result<Self, ConfigError> {
        let file = Self::read(path)?;
        match file.settings.data_dir {
            Some(_) => Err(ConfigError::OwnDataDir { origin: file.origin("data_dir") }),
            None => Ok(file),
        }
    }

    /// Where a key stands. The keys are flat, so the line that begins with one is the line.
    fn origin(&self, key: &str) -> Origin {
        let says = |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
        Origin::File(self.path.clone(), self.text.lines().position(says).map_or(1, |index| index + 1))
    }
}

/// A parser's complaint with its line, and the key there if the complaint itself names none.
fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let index = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count();
    let key = text.lines().nth(index).and_then(|line| line.split_once('=')).map_or("", |(key, _)| key.trim());
    let said = error.message().replace('\n', " ");
    let message = if key.is_empty() || said.contains(key) { said } else { format!("`{key}`: {said}") };
    ConfigError::Syntax { origin: Origin::File(path.to_owned(), index + 1), message }
}

/// The two layers as one: looks a key up and remembers who to blame.
struct Layers<'a> {
    flags: Settings,
    file: Option<&'a File>,
}

impl Layers<'_> {
    /// The value in force, as `parse` reads it; `default` if nobody said one.
    fn take<T: std::fmt::Debug, V>(
        &self,
        key: &'static str,
        get: impl Fn(&Settings) -> &Option<T>,
        default: T,
        expected: &'static str,
        parse: impl FnOnce(&T) -> Option<V>,
    ) -> Result<V, ConfigError> {
        let flag = get(&self.flags).as_ref().map(|value| (value, Origin::Flag(key)));
        let file = self.file.and_then(|file| Some((get(&file.settings).as_ref()?, file.origin(key))));
        let (value, origin) = flag.or(file).unwrap_or((&default, Origin::Flag(key)));
        parse(value).ok_or_else(|| ConfigError::Value { key, value: format!("{value:?}"), expected, origin })
    }
}

/// S-H-O-A on a telephone's keypad.
const LISTEN: [&str; 2] = ["/ip4/0.0.0.0/tcp/7462", "/ip4/0.0.0.0/udp/7462/quic-v1"];
const LISTEN_EXPECTED: &str = "1 to 16 addresses such as /ip4/0.0.0.0/tcp/7462 or /ip4/0.0.0.0/udp/7462/quic-v1";
const BOOTSTRAP_EXPECTED: &str = "at most 64 addresses such as /ip4/192.0.2.1/tcp/7462/p2p/<peer id>";
const NETWORK_EXPECTED: &str = "local, testnet, 1 to 32 lower-case letters, digits or '-', or a file that ends in .toml";
const EXTERNAL_EXPECTED: &str = "at most 16 addresses such as /ip4/192.0.2.1/tcp/7462";
const DEVICE_EXPECTED: &str = "auto, cpu, or gpu where the build (`--features wgpu` or `cuda`) and the machine have one";
const API_EXPECTED: &str = "a loopback address with a port, such as 127.0.0.1:0";

/// Every default stands here, in the words of the file, and passes the same check.
pub(super) fn check(data_dir: PathBuf, flags: Settings, file: Option<&File>) -> Result<Config, ConfigError> {
    let layers = Layers { flags, file };
    let text = |default: &str| default.to_owned();
    let listen = LISTEN.map(str::to_owned).to_vec();
    // A node that joined a network once belongs to it from then on.
    let joined = data_dir.join(NETWORK_FILE);
    let belongs = if joined.exists() { joined.display().to_string() } else { text("local") };
    let network = layers.take(
        "network",
        |s| &s.network,
        belongs,
        NETWORK_EXPECTED,
        |name| (Network::is_file(name) || NetworkName::new(name).is_ok()).then(|| name.clone()),
    )?;
    Ok(Config {
        data_dir,
        network: Network::load(&network)?,
        ticket: Vec::new(),
        listen: layers.take("listen", |s| &s.listen, listen, LISTEN_EXPECTED, |list| addresses(list, 1..=16, is_listen))?,
        external: layers.take(
            "external",
            |s| &s.external,
            vec![],
            EXTERNAL_EXPECTED,
            |list| addresses(list, 0..=16, is_listen),
        )?,
        bootstrap: layers.take(
            "bootstrap",
            |s| &s.bootstrap,
            vec![],
            BOOTSTRAP_EXPECTED,
            |list| addresses(list, 0..=64, is_peer),
        )?,
        mdns: layers.take("mdns", |s| &s.mdns, true, "true or false", |&on| Some(on))?,
        upnp: layers.take("upnp", |s| &s.upnp, true, "true or false", |&on| Some(on))?,
        relay: layers.take("relay", |s| &s.relay, true, "true or false", |&on| Some(on))?,
        data: data(&layers)?,
        assets: layers.take(
            "asset",
            |s| &s.asset,
            vec![],
            "at most 64 files",
            |list| (list.len() <= 64).then(|| list.iter().map(PathBuf::from).collect()),
        )?,
        device: layers.take("device", |s| &s.device, text("auto"), DEVICE_EXPECTED, |name| name.parse().ok())?,
        batch: layers.take(
            "batch",
            |s| &s.batch,
            0,
            "between 0 and 65536",
            |&n| count(n, 0..=65_536).map(|n| (n > 0).then_some(n as usize)),
        )?,
        wait_for_peers: layers.take("wait_for_peers", |s| &s.wait_for_peers, 0, "between 0 and 64", |&n| count(n, 0..=64))?,
        connections_in: layers.take(
            "connections_in",
            |s| &s.connections_in,
            128,
            "between 1 and 4096",
            |&n| count(n, 1..=4_096),
        )?,
        connections_out: layers.take(
            "connections_out",
            |s| &s.connections_out,
            32,
            "between 1 and 1024",
            |&n| count(n, 1..=1_024),
        )?,
        api: layers.take("api", |s| &s.api, text("127.0.0.1:0"), API_EXPECTED, |address| api(address))?,
        log: layers.take("log", |s| &s.log, text("info"), "a level or `target=level` pairs", |filter| log(filter))?,
    })
}

fn data(layers: &Layers<'_>) -> Result<DataSource, ConfigError> {
    let text = |default: &str| default.to_owned();
    let partition = text("dirichlet:0.5");
    let expected = DataSource::PARTITION_EXPECTED;
    Ok(DataSource {
        source: layers.take("data", |s| &s.data, text("digits"), DataSource::EXPECTED, |name| name.parse().ok())?,
        shard: layers.take("shard", |s| &s.shard, text("0/1"), Shard::EXPECTED, |shard| shard.parse().ok())?,
        partition: layers.take("partition", |s| &s.partition, partition, expected, |how| how.parse().ok())?,
        split_seed: layers.take("split_seed", |s| &s.split_seed, 0, "a whole number", |&seed| Some(seed))?,
    })
}

fn count(number: u64, range: std::ops::RangeInclusive<u64>) -> Option<u32> {
    range.contains(&number).then(|| u32::try_from(number).ok()).flatten()
}

fn addresses(list: &[String], count: std::ops::RangeInclusive<usize>, good: fn(&Multiaddr) -> bool) -> Option<Vec<Multiaddr>> {
    let parsed: Vec<Multiaddr> = list.iter().map(|text| text.parse().ok().filter(good)).collect::<Option<_>>()?;
    count.contains(&parsed.len()).then_some(parsed)
}

fn is_listen(address: &Multiaddr) -> bool {
    let parts: Vec<_> = address.iter().collect();
    matches!(
        parts.as_slice(),
        [Protocol::Ip4(_) | Protocol::Ip6(_), Protocol::Tcp(_)]
            | [Protocol::Ip4(_) | Protocol::Ip6(_), Protocol::Udp(_), Protocol::QuicV1]
    )
}

fn is_peer(address: &Multiaddr) -> bool {
    let mut way = address.clone();
    matches!(way.pop(), Some(Protocol::P2p(_))) && is_listen(&way)
}

fn api(text: &str) -> Option<SocketAddr> {
    text.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback())
}

fn log(text: &str) -> Option<String> {
    EnvFilter::try_new(text).is_ok().then(|| text.to_owned())
}
