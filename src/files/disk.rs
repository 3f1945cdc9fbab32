//! Files on disk: reads a file whole, and writes a whole file or nothing.

use super::error::{LoadError, LoadErrorKind};
use alloc::{format, string::ToString, vec::Vec};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

pub(super) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    fs::read(path).map_err(|error| LoadErrorKind::Io(error).of(path))
}

/// Writes a temporary file beside `path`, waits until it is on the disk, and renames it. Until then an existing file
/// does not change.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let failed =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let (mut file, temporary) = create(path).map_err(failed)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
        let _ = fs::remove_file(&temporary);
        return Err(failed(error));
    }
    // The new name, too, should be on the disk. Where a folder cannot be opened, the system sees to it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    Ok(())
}

/// A new file beside `path`: the first of NAME.0.tmp, NAME.1.tmp … that does not exist, so that it is nobody else's.
fn create(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut number = 0_u16;
    loop {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{number}.tmp"));
        let temporary = path.with_file_name(name);
        match File::create_new(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < u16::MAX => {
                number += 1
            }
            Err(error) => return Err(error),
        }
    }
}

impl LoadErrorKind {
    pub(super) fn of(self, path: &Path) -> LoadError {
        LoadError { file: path.display().to_string(), kind: self }
    }
}
