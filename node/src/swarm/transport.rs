//! How bytes get from one node to another: TCP with Noise and Yamux, or QUIC. Nothing here knows
//! what they mean. Every connection is encrypted and proves the other side's key before anything
//! else is said.

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
use libp2p::{Multiaddr, noise, quic, tcp};

use super::NetworkError;
use super::address::{TransportKind, ip_of, is_loopback, port_of, transport_of};
use super::count::{ByteCounts, Counted};
use super::muxer::{STREAMS_MAX, Yamux};

/// What a peer may have in flight to us on one QUIC stream; QUIC's form of Yamux's window.
const QUIC_STREAM_BYTES: u32 = 1 << 20;
/// The same for one QUIC connection.
const QUIC_CONNECTION_BYTES: u32 = 4 << 20;
/// From first byte to a usable connection. libp2p's own default for QUIC is 5 s, for TCP 10 s.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that the kernel may hold for a busy node (a guess; 1,024 is libp2p's default).
const BACKLOG: u32 = 128;

/// TCP and QUIC as one transport whose bytes are counted. Without `near` it does not dial this host.
pub(super) fn build(
    key: &Keypair,
    counts: &Arc<ByteCounts>,
    near: bool,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let noise = noise::Config::new(key).map_err(|error| NetworkError::Key(error.to_string()))?;
    let tcp_counts = Arc::clone(counts);
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().listen_backlog(BACKLOG))
        .map(move |socket, _| Counted::new(socket, Arc::clone(&tcp_counts)))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(Yamux)
        .timeout(HANDSHAKE_TIMEOUT)
        .boxed();

    let mut config = quic::Config::new(key);
    config.handshake_timeout = HANDSHAKE_TIMEOUT;
    config.max_concurrent_stream_limit = STREAMS_MAX as u32;
    config.max_stream_data = QUIC_STREAM_BYTES;
    config.max_connection_data = QUIC_CONNECTION_BYTES;
    let quic_counts = Arc::clone(counts);
    let quic = quic::tokio::Transport::new(config)
        .map(move |(peer, connection), _| (peer, StreamMuxerBox::new(Counted::new(connection, Arc::clone(&quic_counts)))));
    let both = tcp.or_transport(quic).map(|either, _| either.into_inner());
    Ok(Guarded { inner: both.boxed(), near }.boxed())
}

/// A transport that does not let strangers point us at ourselves.
///
/// Kademlia dials addresses that others tell it. Among nodes of different hosts a loopback address
/// is a mistake, or somebody who would like us to talk to the services of our own host.
struct Guarded {
    inner: Boxed<(PeerId, StreamMuxerBox)>,
    near: bool,
}

impl Transport for Guarded {
    type Output = (PeerId, StreamMuxerBox);
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
        if !self.near && is_loopback(&address) {
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
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;

    #[tokio::test]
    async fn strangers_cannot_point_us_at_ourselves() {
        let key = Keypair::generate_ed25519();
        let opts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        for (near, text, allowed) in [
            (false, "/ip4/127.0.0.1/tcp/1", false),
            (false, "/ip6/::1/udp/1/quic-v1", false),
            (false, "/ip6/::ffff:127.0.0.1/tcp/1", false),
            (false, "/ip4/192.0.2.1/tcp/1", true),
            (true, "/ip4/127.0.0.1/tcp/1", true),
        ] {
            let mut transport = build(&key, &Arc::default(), near).unwrap();
            assert_eq!(transport.dial(text.parse().unwrap(), opts).is_ok(), allowed, "{text}, near: {near}");
        }
    }
}
