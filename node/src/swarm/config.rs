//! What one node decides about its own network: where it listens, whom it calls first, and every
//! bound. What all nodes of a run must share is in the run spec, not here.
//!
//! rust-libp2p ships nearly all of these bounds open; each value says where it comes from.

use std::time::Duration;

use libp2p::{Multiaddr, StreamProtocol};
use shoal_protocol::id::RunId;

use crate::networks::{RendezvousConfig, Scope};

/// Longest network name, bytes. The name becomes part of every protocol id.
pub const NETWORK_NAME_BYTES_MAX: usize = 32;
/// What identify says of this program.
pub(super) const AGENT: &str = concat!("shoal/", env!("CARGO_PKG_VERSION"));

/// The least that [`NetworkConfig::peers_kept`] is above the target (guess).
const KEPT_ABOVE_TARGET: usize = 4;

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
    /// Whom to call first, with or without `/p2p/...`.
    pub bootstrap: Vec<Multiaddr>,
    /// Addresses from a ticket, called beside `bootstrap`.
    pub ticket: Vec<Multiaddr>,
    /// How far the network reaches: whether addresses must prove that they can be reached before they
    /// are told, and whether this node asks a router, other nodes and relays for a way in.
    pub scope: Scope,
    /// Leading zero bits that a member's name must have, 0 to 24.
    pub identity_bits: u8,
    /// The public network through which strangers meet. Ignored by a private network.
    pub rendezvous: Option<RendezvousConfig>,
    /// A private network's secret. All TCP connections are wrapped in it and QUIC, which cannot be, is
    /// neither listened on nor dialled: without the secret not one byte is understood.
    pub secret: Option<Secret>,
    /// Ask the router to forward our ports (UPnP); only where `scope` is the internet.
    pub upnp: bool,
    /// What this node passes on for others once it can be reached; `None` for nothing.
    pub relay: Option<RelayBounds>,
    /// Look for peers on the local network by multicast DNS.
    pub mdns: bool,
    /// Answer Kademlia queries. False for a node that nobody can reach.
    pub server: bool,
    /// Peers of each run to look for: below this a node goes on dialling whom it finds, so a run of at most
    /// this size plus one becomes a full mesh. 12 is gossipsub's default upper mesh degree.
    pub peers_target: usize,
    /// How long a connection stays quiet before it may be let go, where there are more than
    /// [`NetworkConfig::peers_kept`]. A guess: another body of the same round is asked
    /// for sooner, the next round's later, and in a large network of somebody else.
    pub lingers: Duration,
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

/// A private network's pre-shared key. Shown by nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How much a node that can be reached passes on for those that cannot.
///
/// A circuit must carry a run where no direct way can be made (two symmetric NATs, UDP blocked), so it
/// gets more than libp2p's 128 KiB in two minutes; when it ends its two ends simply make another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayBounds {
    /// Peers that may be called through us.
    pub reservations: usize,
    /// Circuits at a time.
    pub circuits: usize,
    /// Circuits of one peer at a time.
    pub circuits_per_peer: usize,
    /// Bytes of one circuit, each way.
    pub circuit_bytes: u64,
    /// Life of one circuit.
    pub circuit_time: Duration,
}

impl RelayBounds {
    /// What every reachable node gives: at the worst 16 x 32 MiB each way in 15 minutes, 0.6 MB/s.
    /// Guesses; a run of the digits moves some 10 kB/s between two nodes.
    #[must_use]
    pub const fn shared() -> Self {
        Self {
            reservations: 64,
            circuits: 16,
            circuits_per_peer: 4,
            circuit_bytes: 32 << 20,
            circuit_time: Duration::from_secs(900),
        }
    }

    /// What a node gives that does nothing else: sixteen times as many, four times as long.
    #[must_use]
    pub const fn dedicated() -> Self {
        Self {
            reservations: 1_024,
            circuits: 256,
            circuits_per_peer: 8,
            circuit_bytes: 128 << 20,
            circuit_time: Duration::from_secs(3_600),
        }
    }
}

/// How many connections a node holds (THREATS.md's table; a full mesh of 32 uses 31 of each).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionBounds {
    /// Incoming connections whose handshake is not done.
    pub pending_in: u32,
    /// Outgoing connections whose handshake is not done (a guess: twice the established ones).
    pub pending_out: u32,
    /// Established incoming connections with members.
    pub established_in: u32,
    /// Established outgoing connections with members.
    pub established_out: u32,
    /// Connections with one peer: both may dial at the same moment, one may still lead through a relay
    /// while a hole is punched, and one may be an AutoNAT server's dial back.
    pub per_peer: u32,
    /// Established connections, each way, with peers that are no members: those of the rendezvous. A
    /// lookup asks some 40 peers (guess); inbound ones are dial backs of theirs.
    pub foreign_out: u32,
    /// See `foreign_out`.
    pub foreign_in: u32,
    /// Established connections with members in all.
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
            per_peer: 4,
            foreign_out: 64,
            foreign_in: 8,
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
    /// Peers of each run that stay connected: beyond this, connections that nobody uses are let go. More than
    /// `peers_target`, so that who lets go and who looks for peers do not undo each other's work.
    #[must_use]
    pub fn peers_kept(&self) -> usize {
        self.peers_target + (self.peers_target / 3).max(KEPT_ABOVE_TARGET)
    }

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
            ticket: Vec::new(),
            scope: Scope::Lan,
            identity_bits: 0,
            rendezvous: None,
            secret: None,
            upnp: false,
            relay: Some(RelayBounds::shared()),
            mdns: false,
            server: true,
            peers_target: 12,
            lingers: Duration::from_secs(1),
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
