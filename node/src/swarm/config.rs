//! What one node decides about its own network: where it listens, whom it calls first, and every
//! bound. What all nodes of a run must share is in the run spec, not here.
//!
//! rust-libp2p ships nearly all of these bounds open; each value says where it comes from.

use std::time::Duration;

use libp2p::{Multiaddr, StreamProtocol};
use shoal_protocol::id::RunId;

/// Longest network name, bytes. The name becomes part of every protocol id.
pub const NETWORK_NAME_BYTES_MAX: usize = 32;
/// What identify says of this program.
pub(super) const AGENT: &str = concat!("shoal/", env!("CARGO_PKG_VERSION"));

/// The name of a network: 1 to 32 lower-case letters, digits or '-'. It is part of every protocol
/// id, so that two networks cannot even negotiate a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkName(String);

/// A network name of other characters or of another length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network's name is 1 to {NETWORK_NAME_BYTES_MAX} lower-case letters, digits or '-'")]
pub struct NetworkNameError;

impl NetworkName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NetworkNameError`] if it has other characters or another length.
    pub fn new(name: &str) -> Result<Self, NetworkNameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=NETWORK_NAME_BYTES_MAX).contains(&name.len());
        if fits && name.bytes().all(plain) { Ok(Self(name.to_owned())) } else { Err(NetworkNameError) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `/shoal/{network}/{what}/1`.
    pub(super) fn protocol(&self, what: &str) -> StreamProtocol {
        StreamProtocol::try_from_owned(format!("/shoal/{}/{what}/1", self.0))
            .unwrap_or_else(|_| unreachable!("it starts with a slash"))
    }

    /// `/shoal/{network}/{run}`: the one topic of a run.
    pub(super) fn topic(&self, run: &RunId) -> String {
        format!("{}{run}", self.topics())
    }

    /// What the topics of all runs start with.
    pub(super) fn topics(&self) -> String {
        format!("/shoal/{}/", self.0)
    }
}

/// Where a node listens, whom it calls first and how much it bears.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The network.
    pub network: NetworkName,
    /// Where to listen: `/ip4|ip6/.../tcp/...` or `/ip4|ip6/.../udp/.../quic-v1`. Port 0 lets the
    /// system choose. If all of them are loopback, loopback addresses are announced and believed;
    /// otherwise they are neither.
    pub listen: Vec<Multiaddr>,
    /// Addresses to announce beside those listened on, as behind a forwarded port.
    pub external: Vec<Multiaddr>,
    /// Whom to call first, with or without `/p2p/...`: a ticket's addresses and remembered peers.
    pub bootstrap: Vec<Multiaddr>,
    /// Look for peers on the local network by multicast DNS.
    pub mdns: bool,
    /// Answer Kademlia queries. False for a node that nobody can reach.
    pub server: bool,
    /// Peers of each run to look for: below this a node goes on dialling whom it finds, so a run of at most
    /// this size plus one becomes a full mesh. 12 is gossipsub's default upper mesh degree.
    pub peers_target: usize,
    /// Gossipsub's heartbeat. 1 s is its default; mesh repair and lazy gossip take one of these.
    pub heartbeat: Duration,
    /// How long a connection lives that nothing uses. Connections to peers of the run are kept.
    pub idle_timeout: Duration,
    /// Bounds on connections.
    pub connections: ConnectionBounds,
    /// Bounds on requests between the peers of a run.
    pub requests: RequestBounds,
    /// Bounds on questions about runs, which anybody may ask.
    pub catalogue: RequestBounds,
}

/// How many connections a node holds (THREATS.md's table; a full mesh of 32 uses 31 of each).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionBounds {
    /// Incoming connections whose handshake is not done.
    pub pending_in: u32,
    /// Outgoing connections whose handshake is not done (a guess: twice the established ones).
    pub pending_out: u32,
    /// Established incoming connections.
    pub established_in: u32,
    /// Established outgoing connections.
    pub established_out: u32,
    /// Connections with one peer. Two, because both may dial at the same moment.
    pub per_peer: u32,
    /// Established connections in all.
    pub total: u32,
    /// No new connections while the process uses more physical memory than this. `None`: no bound.
    pub process_bytes_max: Option<usize>,
}

impl Default for ConnectionBounds {
    fn default() -> Self {
        Self {
            pending_in: 32,
            pending_out: 64,
            established_in: 128,
            established_out: 32,
            per_peer: 2,
            total: 160,
            // A guess: far above the 15 MB that one node needs, with room for a model.
            process_bytes_max: Some(4 << 30),
        }
    }
}

/// How many requests a node asks and answers at a time, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBounds {
    /// Requests answered at a time, over all peers. One more is told "busy".
    pub inbound: usize,
    /// Requests answered or asked at a time on one connection. One more stream is dropped; our own
    /// wait here until a place is free, so an honest peer never meets this bound.
    pub per_connection: usize,
    /// Requests of our own that have no answer yet, over all peers.
    pub outbound: usize,
    /// How long a peer may take to say its request and to read the answer, both together with our
    /// own time for it.
    pub serve_timeout: Duration,
}

impl Default for RequestBounds {
    // The counts are guesses: a round pulls from at most 64 peers, one body each.
    fn default() -> Self {
        Self { inbound: 32, per_connection: 4, outbound: 256, serve_timeout: Duration::from_secs(30) }
    }
}

impl RequestBounds {
    /// For questions about runs: they come from strangers, are rare and are answered at once.
    #[must_use]
    pub const fn catalogue() -> Self {
        Self { inbound: 8, per_connection: 2, outbound: 64, serve_timeout: Duration::from_secs(10) }
    }
}

impl NetworkConfig {
    /// A node that listens on loopback, TCP and QUIC, ports chosen by the system, and calls nobody.
    #[must_use]
    pub fn new(network: NetworkName) -> Self {
        let loopback =
            |rest: &str| format!("/ip4/127.0.0.1{rest}").parse().unwrap_or_else(|_| unreachable!("a constant address"));
        Self {
            network,
            listen: vec![loopback("/tcp/0"), loopback("/udp/0/quic-v1")],
            external: Vec::new(),
            bootstrap: Vec::new(),
            mdns: false,
            server: true,
            peers_target: 12,
            heartbeat: Duration::from_secs(1),
            // A guess: longer than a Kademlia query, shorter than a visitor's use of a slot.
            idle_timeout: Duration::from_secs(20),
            connections: ConnectionBounds::default(),
            requests: RequestBounds::default(),
            catalogue: RequestBounds::catalogue(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for name in ["local", "testnet", "a", "my-net-2", &"x".repeat(NETWORK_NAME_BYTES_MAX)] {
            assert_eq!(NetworkName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "Local", "a/b", "a b", "ä", "a\0", &"x".repeat(NETWORK_NAME_BYTES_MAX + 1)] {
            assert_eq!(NetworkName::new(name), Err(NetworkNameError), "{name:?}");
        }
    }

    #[test]
    fn protocols_and_topic_carry_the_network() {
        let name = NetworkName::new("local").unwrap();
        assert_eq!(name.protocol("kad").as_ref(), "/shoal/local/kad/1");
        assert_eq!(name.topic(&RunId([0xab; 32])), format!("/shoal/local/{}", "ab".repeat(32)));
    }
}
