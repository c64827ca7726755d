//! How bytes get from one node to another: TCP with Noise and Yamux, or QUIC. Nothing here knows
//! what they mean. Every connection is encrypted and proves the other side's key before anything
//! else is said.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::{Keypair, PeerId};
use libp2p::{Multiaddr, noise, quic, tcp};

use super::NetworkError;
use super::address::{TransportKind, ip_of, port_of, transport_of};
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

/// TCP and QUIC as one transport whose bytes are counted.
pub(super) fn build(key: &Keypair, counts: &Arc<ByteCounts>) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
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
    Ok(tcp.or_transport(quic).map(|either, _| either.into_inner()).boxed())
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
