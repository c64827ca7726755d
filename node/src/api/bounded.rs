//! A listener that cannot be used up: so many connections at once, each for so long.
//!
//! The bound is taken before a connection is accepted; the rest wait in the kernel's own bounded
//! queue. A connection ends when we have sent nothing on it for a while, whether it asked slowly, listened
//! to nothing or said nothing, and at last whatever it does.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections at once: a few shells and a dashboard (a guess).
pub const CONNECTION_COUNT_MAX: usize = 32;
/// How long one may last from our last byte: a client asks again, so this bounds only the idle and the
/// slow (a guess).
const QUIET_TIME_MAX: Duration = Duration::from_secs(30);
/// How long one may last at all: the longest text that anybody waits for (a guess).
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(600);

/// A TCP listener within those bounds.
pub struct Bounded {
    listener: TcpListener,
    free: Arc<Semaphore>,
}

impl Bounded {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, free: Arc::new(Semaphore::new(CONNECTION_COUNT_MAX)) }
    }
}

impl Listener for Bounded {
    type Io = Leased;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Leased, SocketAddr) {
        // The semaphore is never closed: it lives as long as this listener.
        let permit = Arc::clone(&self.free).acquire_owned().await.unwrap_or_else(|_| unreachable!("never closed"));
        // Waits and tries again by itself when the process is out of file handles.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let last = Instant::now() + CONNECTION_TIME_MAX;
        (Leased { stream, end: Box::pin(sleep(QUIET_TIME_MAX)), last, _permit: permit }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection and its place among the few.
pub struct Leased {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    last: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Leased {
    fn expired(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Leased {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.expired(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Leased {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.expired(cx)?;
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if matches!(written, Poll::Ready(Ok(_))) {
            let end = self.last.min(Instant::now() + QUIET_TIME_MAX);
            self.end.as_mut().reset(end);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
