//! Files on disk: reads a file whole, and writes a whole file or nothing.

use super::error::{LoadError, LoadErrorKind};
use alloc::vec::Vec;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

pub(super) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    fs::read(path).map_err(|error| LoadErrorKind::Io(error).of(path))
}

/// Writes a temporary file beside `path`, waits until it is on the disk, and renames it. Until then an existing file
/// does not change.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, path)
    });
    if let Err(error) = written {
        // There may be no such file.
        let _ = fs::remove_file(&temporary);
        return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
    }
    // The new name, too, should be on the disk. Where a folder cannot be opened, the system sees to it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    Ok(())
}

impl LoadErrorKind {
    pub(super) fn of(self, path: &Path) -> LoadError {
        LoadError { file: path.display().to_string(), kind: self }
    }
}
