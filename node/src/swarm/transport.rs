//! How bytes get from one node to another: TCP with Noise and Yamux, QUIC, or a circuit through a
//! relay. Nothing here knows what they mean. Every connection is encrypted end to end and proves the
//! other side's key before anything else is said; a relay sees lengths and times, no more.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::identity::{Keypair, PeerId};
use libp2p::pnet::{PnetConfig, PreSharedKey};
use libp2p::{Multiaddr, dns, noise, quic, relay, tcp};

use super::NetworkError;
use super::address::{TransportKind, ip_of, port_of, transport_of};
use super::config::Secret;
use super::count::{ByteCounts, Counted};
use super::muxer::{STREAMS_MAX, Yamux};
use super::near::Near;

/// What a peer may have in flight to us on one QUIC stream; QUIC's form of Yamux's window.
const QUIC_STREAM_BYTES: u32 = 1 << 20;
/// The same for one QUIC connection.
const QUIC_CONNECTION_BYTES: u32 = 4 << 20;
/// From first byte to a usable connection. libp2p's own default for QUIC is 5 s, for TCP 10 s.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that the kernel may hold for a busy node (a guess; 1,024 is libp2p's default).
const BACKLOG: u32 = 128;

/// What a node's transport is made of.
pub(super) struct Parts<'a> {
    pub(super) key: &'a Keypair,
    pub(super) counts: &'a Arc<ByteCounts>,
    /// Which addresses are dialled at all.
    pub(super) near: Near,
    /// A private network's secret.
    pub(super) secret: Option<Secret>,
}

type Connected = (PeerId, StreamMuxerBox);

/// Ways through relays, then TCP and QUIC behind the guard, with names resolved before it. All bytes
/// are counted once: what goes through a relay is counted on the connection to the relay.
///
/// With a secret there is no QUIC: its handshake cannot be wrapped, and whoever saw it would know that
/// somebody is there.
pub(super) fn build(parts: Parts<'_>) -> Result<(Boxed<Connected>, relay::client::Behaviour), NetworkError> {
    let noise = || noise::Config::new(parts.key).map_err(|error| NetworkError::Key(error.to_string()));
    let (relayed, client) = relay::client::new(parts.key.public().to_peer_id());
    let relayed = relayed.upgrade(Version::V1Lazy).authenticate(noise()?).multiplex(Yamux).timeout(HANDSHAKE_TIMEOUT).boxed();

    let tcp_counts = Arc::clone(parts.counts);
    let socket = tcp::tokio::Transport::new(tcp::Config::new().listen_backlog(BACKLOG))
        .map(move |socket, _| Counted::new(socket, Arc::clone(&tcp_counts)));
    let direct = match parts.secret {
        Some(Secret(secret)) => {
            let wrapping = PnetConfig::new(PreSharedKey::new(secret));
            socket
                .and_then(move |socket, _| wrapping.handshake(socket))
                .upgrade(Version::V1Lazy)
                .authenticate(noise()?)
                .multiplex(Yamux)
                .timeout(HANDSHAKE_TIMEOUT)
                .boxed()
        }
        None => {
            let tcp = socket.upgrade(Version::V1Lazy).authenticate(noise()?).multiplex(Yamux).timeout(HANDSHAKE_TIMEOUT).boxed();
            tcp.or_transport(quic(parts.key, parts.counts)).map(|either, _| either.into_inner()).boxed()
        }
    };
    let named = named(Guarded { inner: direct, near: parts.near })?;
    let all = relayed.or_transport(named).map(|either, _| either.into_inner());
    Ok((all.boxed(), client))
}

fn quic(key: &Keypair, counts: &Arc<ByteCounts>) -> Boxed<Connected> {
    let mut config = quic::Config::new(key);
    config.handshake_timeout = HANDSHAKE_TIMEOUT;
    config.max_concurrent_stream_limit = STREAMS_MAX as u32;
    config.max_stream_data = QUIC_STREAM_BYTES;
    config.max_connection_data = QUIC_CONNECTION_BYTES;
    let counts = Arc::clone(counts);
    quic::tokio::Transport::new(config)
        .map(move |(peer, connection), _| (peer, StreamMuxerBox::new(Counted::new(connection, Arc::clone(&counts)))))
        .boxed()
}

/// Resolves names before the guard looks, so a name for our own host is refused like its address. On a
/// system that names no resolver, names cannot be dialled and everything else can.
fn named(guarded: Guarded) -> Result<Boxed<Connected>, NetworkError> {
    if let Err(error) = dns::tokio::Transport::system(()) {
        tracing::debug!(%error, "no names can be resolved");
        return Ok(guarded.boxed());
    }
    dns::tokio::Transport::system(guarded).map(Transport::boxed).map_err(NetworkError::Names)
}

/// A transport that does not let strangers point us at ourselves or at our neighbours.
struct Guarded {
    inner: Boxed<Connected>,
    near: Near,
}

impl Transport for Guarded {
    type Output = Connected;
    type Error = io::Error;
    type ListenerUpgrade = <Boxed<Self::Output> as Transport>::ListenerUpgrade;
    type Dial = <Boxed<Self::Output> as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, opts: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        if !self.near.may_dial(&address) {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        self.inner.dial(address, opts)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// Whether an address can be listened on, tried with a plain socket first.
///
/// libp2p-tcp sets `SO_REUSEPORT`, with which two nodes of one user can listen on the same port and
/// each get half of the calls. A plain socket is refused, and says so by name.
pub(super) fn probe(address: &Multiaddr) -> Result<(), NetworkError> {
    let unsupported = || NetworkError::BadAddress { address: address.clone() };
    let (ip, port): (IpAddr, u16) = ip_of(address).zip(port_of(address)).ok_or_else(unsupported)?;
    let socket = SocketAddr::new(ip, port);
    let tried = match transport_of(address) {
        TransportKind::Tcp => TcpListener::bind(socket).map(drop),
        TransportKind::Quic => UdpSocket::bind(socket).map(drop),
    };
    tried.map_err(|source| NetworkError::listen(address, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::Scope;
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;

    #[tokio::test]
    async fn strangers_cannot_point_us_at_ourselves() {
        let opts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        for (near, text, allowed) in [
            (false, "/ip4/127.0.0.1/tcp/1", false),
            (false, "/ip6/::1/tcp/1", false),
            (false, "/ip4/192.168.0.1/tcp/1", false),
            (false, "/ip4/192.0.2.1/tcp/1", true),
            (true, "/ip4/127.0.0.1/tcp/1", true),
        ] {
            let inner = tcp::tokio::Transport::default()
                .upgrade(Version::V1Lazy)
                .authenticate(noise::Config::new(&Keypair::generate_ed25519()).unwrap())
                .multiplex(Yamux)
                .boxed();
            let mut transport = Guarded { inner, near: Near::new(near, Scope::Internet) };
            assert_eq!(transport.dial(text.parse().unwrap(), opts).is_ok(), allowed, "{text}, near: {near}");
        }
    }

    #[tokio::test]
    async fn a_private_network_has_no_quic() {
        for (secret, allowed) in [(None, true), (Some(Secret([7; 32])), false)] {
            let (key, counts) = (Keypair::generate_ed25519(), Arc::default());
            let near = Near::new(true, Scope::Lan);
            let (mut transport, _) = build(Parts { key: &key, counts: &counts, near, secret }).unwrap();
            let quic = "/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap();
            assert_eq!(transport.listen_on(ListenerId::next(), quic).is_ok(), allowed);
        }
    }
}
