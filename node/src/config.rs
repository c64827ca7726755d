//! One node's own configuration: what is mine alone, apart from the run spec that all must share.
//!
//! Three layers in rising order: the TOML file, the variables `SHOAL_*`, the flags. They are the
//! same keys ([`Settings`]) and are checked once, together, into a [`Config`], whose values are
//! within bounds because nothing else makes one. Reads one file, writes nothing, opens no socket.

mod error;
mod settings;
mod values;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use libp2p::Multiaddr;
use shoal_ml::Device;

pub use self::error::{ConfigError, Origin};
pub use self::settings::{Place, Settings};
pub use self::values::{DataError, DataSettings, DataSource, ParseShardError, Shard};

use crate::networks::Network;
use crate::swarm::{ConnectionBounds, NetworkConfig, NetworkName, RelayBounds};

/// File in the data directory that is read if no other is named.
pub const CONFIG_FILE: &str = "config.toml";
/// What `shoal init` writes there: every key with its default, commented out.
pub const CONFIG_EXAMPLE: &str = include_str!("config/example.toml");
/// Longest configuration file, bytes: a guess, a hundred times what one needs.
pub const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// A node's own configuration, every value within bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    data_dir: PathBuf,
    network: Network,
    /// From a ticket, for this start alone.
    ticket: Vec<Multiaddr>,
    listen: Vec<Multiaddr>,
    external: Vec<Multiaddr>,
    bootstrap: Vec<Multiaddr>,
    mdns: bool,
    upnp: bool,
    relay: bool,
    data: DataSource,
    assets: Vec<PathBuf>,
    device: Device,
    batch: Option<usize>,
    wait_for_peers: u32,
    connections_in: u32,
    connections_out: u32,
    api: SocketAddr,
    log: String,
}

impl Config {
    /// Reads the file that `place` names (or the data directory's own, if there is one), lays
    /// `settings` over it and checks the whole.
    ///
    /// # Errors
    /// [`ConfigError`] names the key, where it was said, and what would be accepted.
    pub fn load(place: &Place, settings: Settings) -> Result<Self, ConfigError> {
        let data_dir = place.data_dir()?;
        let own = data_dir.join(CONFIG_FILE);
        let file = match &place.config {
            Some(path) => Some(settings::File::read(path)?),
            None if own.exists() => Some(settings::File::read_own(&own)?),
            None => None,
        };
        settings::check(data_dir, settings, file.as_ref())
    }

    /// Checks settings that come from no file: for nodes that a program starts, as the demo does.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_settings(data_dir: PathBuf, settings: Settings) -> Result<Self, ConfigError> {
        settings::check(data_dir, settings, None)
    }

    /// The same node in this network.
    #[must_use]
    pub fn with_network(self, network: Network) -> Self {
        Self { network, ..self }
    }

    /// The same node, told whom to call by a ticket.
    #[must_use]
    pub fn with_ticket(self, ticket: &[Multiaddr]) -> Self {
        Self { ticket: ticket.to_vec(), ..self }
    }

    /// Where everything durable lies. Absolute, not checked to exist.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The overlay's name.
    #[must_use]
    pub const fn network(&self) -> &NetworkName {
        self.network.name()
    }

    /// The overlay: its name and what all its nodes must say alike.
    #[must_use]
    pub const fn overlay(&self) -> &Network {
        &self.network
    }

    /// TCP and QUIC addresses to listen on; 1 to 16.
    #[must_use]
    pub fn listen(&self) -> &[Multiaddr] {
        &self.listen
    }

    /// Addresses at which others can reach this node, known to the person who runs it; 0 to 16.
    #[must_use]
    pub fn external(&self) -> &[Multiaddr] {
        &self.external
    }

    /// Whether to ask the router for a forwarded port.
    #[must_use]
    pub const fn upnp(&self) -> bool {
        self.upnp
    }

    /// Whether to pass on for others what cannot go straight.
    #[must_use]
    pub const fn relay(&self) -> bool {
        self.relay
    }

    /// Peers to find the network through, beside the network's own, each ending in `/p2p/<peer id>`; 0 to 64.
    #[must_use]
    pub fn bootstrap(&self) -> &[Multiaddr] {
        &self.bootstrap
    }

    /// Whether to look for peers on the local network.
    #[must_use]
    pub const fn mdns(&self) -> bool {
        self.mdns
    }

    /// The data this node trains on, in every run that names no other.
    #[must_use]
    pub const fn data(&self) -> &DataSource {
        &self.data
    }

    /// Files that specs name by their hash, to be kept in the data directory; 0 to 64.
    #[must_use]
    pub fn assets(&self) -> &[PathBuf] {
        &self.assets
    }

    /// Where this node trains.
    #[must_use]
    pub const fn device(&self) -> Device {
        self.device
    }

    /// Examples in a step, if others than the task says.
    #[must_use]
    pub const fn batch(&self) -> Option<usize> {
        self.batch
    }

    /// Peers that must be there before the first round: 0 to 64.
    #[must_use]
    pub const fn wait_for_peers(&self) -> u32 {
        self.wait_for_peers
    }

    /// Most established connections that others opened: 1 to 4,096.
    #[must_use]
    pub const fn connections_in(&self) -> u32 {
        self.connections_in
    }

    /// Most established connections that this node opened: 1 to 1,024.
    #[must_use]
    pub const fn connections_out(&self) -> u32 {
        self.connections_out
    }

    /// All of this that the swarm wants to know.
    #[must_use]
    pub fn network_config(&self) -> NetworkConfig {
        let connections = ConnectionBounds {
            established_in: self.connections_in,
            established_out: self.connections_out,
            total: self.connections_in + self.connections_out,
            ..ConnectionBounds::default()
        };
        NetworkConfig {
            listen: self.listen.clone(),
            external: self.external.clone(),
            bootstrap: self.network.bootstrap().iter().chain(&self.bootstrap).cloned().collect(),
            mdns: self.mdns,
            scope: self.network.scope(),
            identity_bits: self.network.identity_bits(),
            secret: self.network.secret(),
            ticket: self.ticket.clone(),
            rendezvous: self.network.rendezvous().cloned(),
            upnp: self.upnp,
            relay: self.relay.then(RelayBounds::shared),
            connections,
            ..NetworkConfig::new(self.network().clone())
        }
    }

    /// Where the local API listens; always a loopback address, port 0 for any free one.
    #[must_use]
    pub const fn api(&self) -> SocketAddr {
        self.api
    }

    /// What to log, in the language of `tracing`'s `EnvFilter`.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.log
    }
}

#[cfg(test)]
mod tests;
