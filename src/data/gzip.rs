//! Gzip files as gzip and Python read them: one member or more, with zeros after each.

use super::file_error::FileErrorKind;
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, Chain, Cursor, ErrorKind, Read, Take};

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The unpacked bytes of a gzip file.
pub(super) struct Gzip<R> {
    member: Option<Member<R>>,
}

/// The magic number is read before a member is known to be one, so it is put in front again.
type Member<R> = GzDecoder<Chain<Cursor<[u8; 2]>, Take<R>>>;

impl<R: BufRead> Gzip<R> {
    /// Continues after the magic number.
    pub(super) fn new(rest: R) -> Self {
        Gzip { member: Some(member(rest.take(u64::MAX))) }
    }

    /// What follows `member`, which is at its end: zeros, then another member or the end of the file.
    fn after(member: Member<R>) -> io::Result<Option<Member<R>>> {
        let mut rest = member.into_inner().into_inner().1;
        let Some(found) = rest.by_ref().bytes().find(|byte| !matches!(byte, Ok(0))).transpose()?
        else {
            return Ok(None);
        };
        let at = read(&rest) - 1;
        match rest.by_ref().bytes().next().transpose()? {
            Some(second) if [found, second] == MAGIC => Ok(Some(self::member(rest))),
            _ => Err(io::Error::other(FileErrorKind::AfterGzip { at, found })),
        }
    }
}

fn member<R: BufRead>(rest: Take<R>) -> Member<R> {
    GzDecoder::new(Cursor::new(MAGIC).chain(rest))
}

/// How many bytes of the file have been read, the first two included. The limit counts down.
fn read<R>(rest: &Take<R>) -> u64 {
    MAGIC.len() as u64 + (u64::MAX - rest.limit())
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            match member.read(bytes) {
                Ok(0) => {
                    self.member = self.member.take().map(Self::after).transpose()?.flatten();
                }
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    let at = self::read(member.get_ref().get_ref().1);
                    return Err(io::Error::other(FileErrorKind::TruncatedGzip { at }));
                }
                read => return read,
            }
        }
        Ok(0)
    }
}
