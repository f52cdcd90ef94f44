//! gzip on several threads. The data are cut into pieces of one size, so that the number of threads changes no byte.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Compress, Compression, Crc, FlushCompress};

use crate::cost;

/// The size of a piece in bytes. A piece does not refer to the one before it, which costs 0.5 % of the size.
const PIECE: usize = 512 << 10;
/// The most threads.
const MOST_THREADS: usize = 8;
/// A header without a name and a time, of no system (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The end of the data: an empty last block (RFC 1951).
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// A piece, and where its compressed form is awaited.
type Job = (Vec<u8>, Sender<io::Result<Vec<u8>>>);

/// An encoder that passes its output on in order.
pub(super) struct Gzip<W> {
    inner: W,
    piece: Vec<u8>,
    jobs: Sender<Job>,
    pending: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    threads: usize,
    crc: Crc,
}

impl<W: Write> Gzip<W> {
    /// Starts the threads, and writes the header.
    pub(super) fn new(mut inner: W, level: u32) -> io::Result<Self> {
        inner.write_all(&HEADER)?;
        let (jobs, receiver) = channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        for _ in 0..threads {
            let (receiver, helper) = (Arc::clone(&receiver), cost::helper());
            // They end when the encoder is dropped.
            std::thread::Builder::new().name("gzip".into()).spawn(move || helper.run(|| work(&receiver, level)))?;
        }
        Ok(Self { inner, piece: Vec::with_capacity(PIECE), jobs, pending: VecDeque::new(), threads, crc: Crc::new() })
    }

    /// Writes what is left and the end.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.piece.is_empty() {
            self.submit()?;
        }
        while !self.pending.is_empty() {
            self.pass_on()?;
        }
        self.inner.write_all(&LAST_BLOCK)?;
        self.inner.write_all(&self.crc.sum().to_le_bytes())?;
        self.inner.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.inner)
    }

    fn submit(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.crc.update(&piece);
        let (sender, receiver) = channel();
        self.jobs.send((piece, sender)).map_err(|_| stopped())?;
        self.pending.push_back(receiver);
        if self.pending.len() > 2 * self.threads { self.pass_on() } else { Ok(()) }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let Some(next) = self.pending.pop_front() else { return Ok(()) };
        self.inner.write_all(&next.recv().map_err(|_| stopped())??)
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let taken = buf.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&buf[..taken]);
        if self.piece.len() == PIECE {
            self.submit()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn stopped() -> io::Error {
    io::Error::other("a thread that compresses has stopped")
}

fn work(jobs: &Mutex<Receiver<Job>>, level: u32) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((piece, result)) = next else { return };
        // Nobody waits for it after an error.
        let _unheard = result.send(compressed(&piece, level));
    }
}

/// Returns a piece as blocks that end at a whole byte.
fn compressed(piece: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut encoder = Compress::new(Compression::new(level), false);
    let mut output = Vec::with_capacity(piece.len() / 2 + 1024);
    loop {
        let read = usize::try_from(encoder.total_in()).unwrap_or(piece.len());
        encoder.compress_vec(&piece[read..], &mut output, FlushCompress::Sync)?;
        // With room left, everything is written.
        if output.len() < output.capacity() && encoder.total_in() == piece.len() as u64 {
            return Ok(output);
        }
        output.reserve(64 << 10);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn compress(bytes: &[u8], step: usize) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new(), 6).unwrap();
        bytes.chunks(step).for_each(|part| gzip.write_all(part).unwrap());
        gzip.finish().unwrap()
    }

    #[test]
    fn what_is_compressed_comes_out_and_is_the_same_every_time() {
        let mut state = 1u32;
        let mut noise = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let random: Vec<u8> = (0..3 * PIECE + 7).map(&mut noise).collect();
        let even = vec![7; 2 * PIECE];
        for bytes in [&random[..], &even[..], &even[..PIECE], b"x", b""] {
            let gzip = compress(bytes, 10_000);
            assert_eq!(gzip, compress(bytes, PIECE + 1));
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut back).unwrap();
            assert!(back == bytes, "{} bytes", bytes.len());
        }
        assert!(compress(&even, PIECE).len() < 5000);
    }
}
