//! Compressing a layer: on all cores, and the same bytes whatever their number.
//!
//! The archive is cut into blocks of one size, each compressed by itself: of gzip they are the blocks of one member, as
//! pigz(1) joins them (RFC 1951: a block that ends at a byte may be followed by any other), of zstd each is a frame (RFC 8878
//! section 3.1).

use crate::Compression;
use flate2::{Compress, Crc, FlushCompress, Status};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Plain bytes of a block of gzip.
const GZIP_BLOCK: usize = 512 << 10;
/// Plain bytes of a frame of zstd.
const ZSTD_BLOCK: usize = 4 << 20;
/// RFC 1952: a member by nobody, at no time, of an unknown system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// What a layer is compressed to, and how hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Not at all.
    None,
    /// Levels 1 to 9.
    Gzip(u32),
    /// Levels 1 to 19.
    Zstd(i32),
}

impl Target {
    /// What everybody reads.
    pub const GZIP: Self = Self::Gzip(6);

    /// The compression that a reader finds.
    pub fn compression(self) -> Compression {
        match self {
            Self::None => Compression::None,
            Self::Gzip(_) => Compression::Gzip,
            Self::Zstd(_) => Compression::Zstd,
        }
    }

    fn block(self) -> usize {
        if matches!(self, Self::Zstd(_)) { ZSTD_BLOCK } else { GZIP_BLOCK }
    }
}

/// A block under way, and where its bytes come back.
struct Job {
    plain: Vec<u8>,
    is_last: bool,
    done: SyncSender<io::Result<Block>>,
}

struct Block {
    bytes: Vec<u8>,
    crc: Crc,
}

/// Compresses what is written to it. Nothing is whole before [`finish`](Self::finish).
pub struct Compressor<W: Write> {
    out: W,
    target: Target,
    plain: Vec<u8>,
    crc: Crc,
    jobs: Option<crossroad::Sender>,
    waiting: VecDeque<Receiver<io::Result<Block>>>,
    most: usize,
    workers: Vec<JoinHandle<()>>,
}

/// One queue, several takers.
mod crossroad {
    use super::Job;
    use std::sync::mpsc::{Receiver, SyncSender};
    use std::sync::{Arc, Mutex, PoisonError};

    pub(super) type Sender = SyncSender<Job>;

    #[derive(Clone)]
    pub(super) struct Takers(Arc<Mutex<Receiver<Job>>>);

    impl Takers {
        pub(super) fn new(jobs: Receiver<Job>) -> Self {
            Self(Arc::new(Mutex::new(jobs)))
        }

        pub(super) fn take(&self) -> Option<Job> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
        }
    }
}

impl<W: Write> Compressor<W> {
    /// On as many threads as there are cores.
    pub fn new(mut out: W, target: Target) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (jobs, taken) = sync_channel(cores);
        let takers = crossroad::Takers::new(taken);
        let mut workers = Vec::new();
        if target != Target::None {
            for _ in 0..cores {
                let takers = takers.clone();
                let work = move || {
                    while let Some(job) = takers.take() {
                        // Whoever waited for it may have given up.
                        let _ = job.done.send(compress(&job.plain, job.is_last, target));
                    }
                };
                workers.push(std::thread::Builder::new().name("compress".into()).spawn(work)?);
            }
        }
        if matches!(target, Target::Gzip(_)) {
            out.write_all(&GZIP_HEAD)?;
        }
        let (crc, waiting) = (Crc::new(), VecDeque::new());
        Ok(Self { out, target, plain: Vec::new(), crc, jobs: Some(jobs), waiting, most: 2 * cores, workers })
    }

    /// Writes what is left; where it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        if self.target != Target::None {
            self.submit(true)?;
            while self.collect()? {}
        }
        self.jobs = None;
        self.workers.drain(..).for_each(|worker| drop(worker.join()));
        if matches!(self.target, Target::Gzip(_)) {
            self.out.write_all(&self.crc.sum().to_le_bytes())?;
            self.out.write_all(&self.crc.amount().to_le_bytes())?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn submit(&mut self, is_last: bool) -> io::Result<()> {
        if self.waiting.len() >= self.most {
            self.collect()?;
        }
        let (done, waiting) = sync_channel(1);
        let job = Job { plain: std::mem::take(&mut self.plain), is_last, done };
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            return Err(io::Error::other("the compressing threads are gone"));
        }
        self.waiting.push_back(waiting);
        Ok(())
    }

    /// Writes the oldest block; whether there was one.
    fn collect(&mut self) -> io::Result<bool> {
        let Some(block) = self.waiting.pop_front() else { return Ok(false) };
        let block = block.recv().map_err(|_| io::Error::other("a compressing thread is gone"))??;
        self.out.write_all(&block.bytes)?;
        self.crc.combine(&block.crc);
        Ok(true)
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.target == Target::None {
            return self.out.write(bytes);
        }
        let room = self.target.block() - self.plain.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.plain.extend_from_slice(taken);
        if self.plain.len() == self.target.block() {
            self.submit(false)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn compress(plain: &[u8], is_last: bool, target: Target) -> io::Result<Block> {
    let mut crc = Crc::new();
    let bytes = match target {
        Target::None => plain.to_vec(),
        Target::Gzip(level) => {
            crc.update(plain);
            deflate(plain, is_last, level)?
        }
        Target::Zstd(_) if plain.is_empty() && !is_last => Vec::new(),
        Target::Zstd(level) => zstd::bulk::compress(plain, level)?,
    };
    Ok(Block { bytes, crc })
}

fn deflate(plain: &[u8], is_last: bool, level: u32) -> io::Result<Vec<u8>> {
    let mut compress = Compress::new(flate2::Compression::new(level), false);
    let flush = if is_last { FlushCompress::Finish } else { FlushCompress::Sync };
    let mut bytes = Vec::with_capacity(plain.len() / 2 + 1024);
    loop {
        let read = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let before = bytes.len();
        let status = compress.compress_vec(&plain[read..], &mut bytes, flush)?;
        let all_in = compress.total_in() == plain.len() as u64;
        // Room that was left says that there was nothing more to write.
        let is_over = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => all_in && bytes.len() < bytes.capacity(),
        };
        if is_over {
            return Ok(bytes);
        }
        if status == Status::BufError && bytes.len() == before && bytes.len() < bytes.capacity() {
            return if all_in { Ok(bytes) } else { Err(io::Error::other("deflate stands still")) };
        }
        bytes.reserve(plain.len() / 4 + 1024);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn plain(length: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|at| if at / 1000 % 2 == 0 { next() } else { b'a' }).collect()
    }

    fn compressed(plain: &[u8], target: Target, pieces: usize) -> Vec<u8> {
        let mut compressor = Compressor::new(Vec::new(), target).unwrap();
        plain.chunks(pieces.max(1)).for_each(|piece| compressor.write_all(piece).unwrap());
        compressor.finish().unwrap()
    }

    #[test]
    fn what_is_compressed_comes_back_and_is_the_same_however_it_was_written() {
        for length in [0, 1, GZIP_BLOCK - 1, GZIP_BLOCK, 3 * GZIP_BLOCK + 17, 2 * ZSTD_BLOCK + 5] {
            let plain = plain(length);
            for target in [Target::None, Target::GZIP, Target::Gzip(1), Target::Zstd(3)] {
                let bytes = compressed(&plain, target, 70_001);
                assert_eq!(bytes, compressed(&plain, target, 1 << 20));
                let mut back = Vec::new();
                match target.compression() {
                    Compression::Gzip => {
                        flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut back).unwrap();
                    }
                    Compression::Zstd => back = zstd::decode_all(&*bytes).unwrap(),
                    _ => back.clone_from(&bytes),
                }
                assert!(back == plain, "{length} bytes by {target:?}");
            }
        }
    }

    #[test]
    fn an_output_that_fails_is_told() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let failed = Compressor::new(Full, Target::GZIP).err().unwrap();
        assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
        let mut compressor = Compressor::new(Full, Target::Zstd(1)).unwrap();
        let _ = compressor.write_all(&plain(ZSTD_BLOCK));
        assert!(compressor.finish().is_err());
    }
}
