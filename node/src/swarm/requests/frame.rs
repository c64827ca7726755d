//! What is written on one stream: a request, then an answer, then nothing.
//!
//! ```text
//! request    length u32 LE, at most REQUEST_BYTES_MAX | bytes
//! answer     status u8: 0 bytes follow, 1 declined, 2 busy
//!            status 0 only: length u32 LE | bytes
//! ```
//! A length is checked before anything is allocated for it, and memory then grows with what has
//! really arrived, so a peer that promises much and sends little costs little.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::RequestError;

/// Longest request, bytes. A list of 31 digests fits.
pub const REQUEST_BYTES_MAX: usize = 1_024;
/// What is set aside for an answer before its first byte is there.
const FIRST_BYTES: usize = 16 * 1_024;

/// An answer that carries bytes.
const FOUND: u8 = 0;
/// The peer has it not, or will not say.
const DECLINED: u8 = 1;
/// The peer answers as many as it can.
const BUSY: u8 = 2;

/// What the asked side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Found(Vec<u8>),
    Declined,
    Busy,
}

/// Writes a request and reads the answer, of at most `response_bytes_max`.
pub(super) async fn ask<S>(stream: &mut S, request: &[u8], response_bytes_max: usize) -> Result<Vec<u8>, RequestError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    write_block(stream, request).await.map_err(closed)?;
    let mut status = [0];
    stream.read_exact(&mut status).await.map_err(closed)?;
    match status[0] {
        FOUND => {}
        DECLINED => return Err(RequestError::Declined),
        BUSY => return Err(RequestError::Busy),
        other => return Err(RequestError::Garbage { status: other }),
    }
    let said = read_length(stream).await.map_err(closed)?;
    if said > response_bytes_max {
        return Err(RequestError::TooLong { said, allowed: response_bytes_max });
    }
    read_block(stream, said).await.map_err(closed)
}

/// Reads a request.
pub(super) async fn hear<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let said = read_length(stream).await?;
    if said > REQUEST_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    read_block(stream, said).await
}

/// Writes an answer and ends the stream.
pub(super) async fn tell<S: AsyncWrite + Unpin>(stream: &mut S, answer: &Answer) -> io::Result<()> {
    match answer {
        Answer::Found(bytes) => {
            stream.write_all(&[FOUND]).await?;
            write_block(stream, bytes).await?;
        }
        Answer::Declined => stream.write_all(&[DECLINED]).await?,
        Answer::Busy => stream.write_all(&[BUSY]).await?,
    }
    stream.close().await
}

async fn write_block<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    stream.write_all(&length.to_le_bytes()).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn read_length<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<usize> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    usize::try_from(u32::from_le_bytes(length)).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Reads `length` bytes; the caller has checked the length.
async fn read_block<S: AsyncRead + Unpin>(stream: &mut S, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(FIRST_BYTES));
    stream.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

/// A stream that ended early: the connection may have been cut, so nobody is at fault.
fn closed(error: io::Error) -> RequestError {
    RequestError::Closed { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// A peer that has already said everything, and what was said to it.
    struct Script {
        says: Cursor<Vec<u8>>,
        heard: Vec<u8>,
    }

    impl AsyncRead for Script {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
            // One byte at a time: no part of the frame may rely on how bytes are grouped.
            let one = buf.len().min(1);
            Pin::new(&mut self.says).poll_read(cx, &mut buf[..one])
        }
    }

    impl AsyncWrite for Script {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.heard.extend_from_slice(buf);
            Poll::Ready(Ok(buf.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn asked(says: &[u8], allowed: usize) -> Result<Vec<u8>, RequestError> {
        let mut script = Script { says: Cursor::new(says.to_vec()), heard: Vec::new() };
        block_on(ask(&mut script, b"get", allowed))
    }

    #[test]
    fn golden_bytes() {
        let mut script = Script { says: Cursor::new(vec![0, 2, 0, 0, 0, 7, 8]), heard: Vec::new() };
        assert_eq!(block_on(ask(&mut script, b"get", 2)), Ok(vec![7, 8]));
        assert_eq!(script.heard, [3, 0, 0, 0, b'g', b'e', b't']);
        for (answer, bytes) in [
            (Answer::Found(vec![7, 8]), &[0, 2, 0, 0, 0, 7, 8][..]),
            (Answer::Found(vec![]), &[0, 0, 0, 0, 0]),
            (Answer::Declined, &[1]),
            (Answer::Busy, &[2]),
        ] {
            let mut script = Script { says: Cursor::new(vec![]), heard: Vec::new() };
            block_on(tell(&mut script, &answer)).unwrap();
            assert_eq!(script.heard, bytes);
        }
        assert_eq!(block_on(hear(&mut Cursor::new([2, 0, 0, 0, 5, 6]))).unwrap(), [5, 6]);
    }

    #[test]
    fn answers_truncated_anywhere_are_errors_without_fault() {
        let whole = [0, 4, 0, 0, 0, 1, 2, 3, 4];
        for end in 0..whole.len() {
            let error = asked(&whole[..end], 4).unwrap_err();
            assert!(matches!(error, RequestError::Closed { .. }) && !error.proves_fault(), "{end}: {error}");
        }
    }

    #[test]
    fn lengths_are_checked_before_anything_is_read() {
        for (said, allowed) in [(5_u32, 4), (1 << 31, 4), (u32::MAX, 1 << 30), (1, 0)] {
            let says = [&[0][..], &said.to_le_bytes()].concat();
            let error = asked(&says, allowed).unwrap_err();
            assert_eq!(error, RequestError::TooLong { said: said as usize, allowed });
            assert!(error.proves_fault());
        }
        let giant = (REQUEST_BYTES_MAX as u32 + 1).to_le_bytes();
        assert_eq!(block_on(hear(&mut Cursor::new(giant))).unwrap_err().kind(), io::ErrorKind::InvalidData);
        // A promise of a gigabyte within the allowance costs what has arrived, not what was said.
        let says = [&[0][..], &(1_u32 << 30).to_le_bytes(), &[9; 100]].concat();
        assert!(matches!(asked(&says, 1 << 30), Err(RequestError::Closed { .. })));
    }

    #[test]
    fn the_other_statuses() {
        assert_eq!(asked(&[1], 9), Err(RequestError::Declined));
        assert_eq!(asked(&[2], 9), Err(RequestError::Busy));
        assert!(asked(&[3], 9).unwrap_err().proves_fault());
    }
}
