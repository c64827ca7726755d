//! Yamux with both of its bounds set: many streams on one TCP connection, and a limit to what a peer
//! can make us hold.
//!
//! Yamux lets a stream's window grow with the line's delay and bandwidth, and a peer decides how long
//! a line looks by answering pings late. libp2p's wrapper can bound the number of streams but not the
//! windows, which may then grow to 1 GiB a connection; hence this one. It speaks the same protocol.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::io;
use std::iter::{Once, once};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready as poll_ready};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use yamux::{Config, Connection, ConnectionError, Mode};

/// Streams at a time on one connection. Gossip, Kademlia, identify, ping and the bounded requests
/// use fewer than 48; the rest is room for another implementation's habits.
pub(super) const STREAMS_MAX: usize = 64;
/// What every stream may have in flight from the start: Yamux's constant.
const STREAM_BYTES: usize = 256 << 10;
/// What the windows of one connection may grow by together: bodies on long lines need it (a guess:
/// 100 Mbit/s at 300 ms are 4 MB).
const GROWTH_BYTES: usize = 8 << 20;

/// The upgrade of a connection to many streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Yamux;

impl Yamux {
    fn start<C: AsyncRead + AsyncWrite + Unpin>(socket: C, mode: Mode) -> Muxer<C> {
        let mut config = Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        config.set_max_connection_receive_window(Some(STREAMS_MAX * STREAM_BYTES + GROWTH_BYTES));
        Muxer { connection: Connection::new(socket, config, mode), arrived: VecDeque::new(), waiting: None }
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(Self::start(socket, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(Self::start(socket, Mode::Client)))
    }
}

/// One connection and the streams on it.
///
/// Yamux moves only while it is asked for the next inbound stream, libp2p asks for one only when it
/// has room. So `poll` drives, and what arrives waits here: at most [`STREAMS_MAX`], Yamux's bound.
pub(super) struct Muxer<C> {
    connection: Connection<C>,
    arrived: VecDeque<yamux::Stream>,
    waiting: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = yamux::Stream;
    type Error = ConnectionError;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Substream, Self::Error>> {
        if let Some(stream) = self.arrived.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        self.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Substream, Self::Error>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connection.poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        let stream = poll_ready!(self.connection.poll_next_inbound(cx)).ok_or(ConnectionError::Closed)??;
        if self.arrived.len() < STREAMS_MAX {
            self.arrived.push_back(stream);
        }
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        // There may be more, but others have their turn first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::future::poll_fn;
    use futures::{AsyncReadExt, AsyncWriteExt};
    use libp2p::core::muxing::StreamMuxerExt;
    use std::sync::{Arc, Mutex};

    /// One direction of a line: what is written at one end is read at the other.
    #[derive(Clone, Default)]
    struct Half(Arc<Mutex<(VecDeque<u8>, Option<Waker>)>>);

    struct Line {
        from: Half,
        to: Half,
    }

    impl AsyncRead for Line {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
            let mut half = self.from.0.lock().unwrap();
            if half.0.is_empty() {
                half.1 = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let count = buf.len().min(half.0.len());
            for (place, byte) in buf.iter_mut().zip(half.0.drain(..count)) {
                *place = byte;
            }
            Poll::Ready(Ok(count))
        }
    }

    impl AsyncWrite for Line {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let mut half = self.to.0.lock().unwrap();
            half.0.extend(buf);
            if let Some(waker) = half.1.take() {
                waker.wake();
            }
            Poll::Ready(Ok(buf.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn pair() -> (Muxer<Line>, Muxer<Line>) {
        let (there, back) = (Half::default(), Half::default());
        let client = Line { from: back.clone(), to: there.clone() };
        let server = Line { from: there, to: back };
        (Yamux::start(client, Mode::Client), Yamux::start(server, Mode::Server))
    }

    #[test]
    fn streams_go_through() {
        let (mut client, mut server) = pair();
        let heard = block_on(async {
            let mut out = poll_fn(|cx| client.poll_outbound_unpin(cx)).await.unwrap();
            let say = async {
                out.write_all(b"hello").await.unwrap();
                out.close().await.unwrap();
            };
            let hear = async {
                let mut stream = poll_fn(|cx| {
                    let _ = server.poll_unpin(cx);
                    server.poll_inbound_unpin(cx)
                })
                .await
                .unwrap();
                let mut text = Vec::new();
                let read = stream.read_to_end(&mut text);
                futures::pin_mut!(read);
                poll_fn(|cx| {
                    let _ = server.poll_unpin(cx);
                    read.as_mut().poll(cx)
                })
                .await
                .unwrap();
                text
            };
            let drive = poll_fn(|cx| -> Poll<()> {
                let _ = client.poll_unpin(cx);
                Poll::Pending
            });
            futures::pin_mut!(drive);
            let talk = futures::future::join(say, hear);
            futures::pin_mut!(talk);
            match futures::future::select(talk, drive).await {
                futures::future::Either::Left((((), text), _)) => text,
                futures::future::Either::Right(_) => unreachable!("never ready"),
            }
        });
        assert_eq!(heard, b"hello");
    }

    /// A peer that opens streams without end and whose streams nobody takes.
    #[test]
    fn streams_are_bounded() {
        let (mut client, mut server) = pair();
        let mut opened = Vec::new();
        block_on(poll_fn(|cx| {
            for _ in 0..STREAMS_MAX + 10 {
                if let Poll::Ready(Ok(mut stream)) = client.poll_outbound_unpin(cx) {
                    let _ = Pin::new(&mut stream).poll_write(cx, &[1]);
                    opened.push(stream);
                }
                let _ = client.poll_unpin(cx);
                let _ = server.poll_unpin(cx);
            }
            Poll::Ready(())
        }));
        assert!(opened.len() <= STREAMS_MAX && server.arrived.len() <= STREAMS_MAX);
        assert!(server.arrived.len() > 1, "{}", server.arrived.len());
    }
}
