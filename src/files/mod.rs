#![doc = include_str!("../files.md")]

#[cfg(feature = "std")]
mod checkpoint;
#[cfg(feature = "std")]
mod disk;
mod error;
mod safetensors;
#[cfg(feature = "serde")]
mod serde;
mod stored;
mod weights;

#[cfg(feature = "std")]
pub use checkpoint::Checkpoint;
pub use error::{Difference, DifferenceKind, LoadError, LoadErrorKind, Mismatch};
pub use safetensors::FormatError;
pub use stored::Stored;
pub use weights::{Loading, load, save};

#[cfg(feature = "std")]
use crate::{network::Network, params::Parameters};
#[cfg(feature = "std")]
use std::{io, path::Path};

#[cfg(feature = "std")]
impl<T: Stored, In, L: Parameters<T>, E> Network<T, In, L, E> {
    /// Loads all parameters from a safetensors file, such as PyTorch writes. The page [`files`](self) says how names
    /// and layouts correspond. To load a part of a file, or under other names, see
    /// [`load_weights_as`](Self::load_weights_as).
    ///
    /// # Errors
    /// The error lists all differences between net and file. If there is one, nothing has changed.
    #[doc(alias("load_state_dict", "from_pretrained", "load_pytorch"))]
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), LoadError> {
        self.load_weights_as(path, &Loading::default()).map(|_| ())
    }

    /// Loads parameters as `loading` says. Returns what was not loaded: nothing, unless `loading` is partial.
    ///
    /// # Errors
    /// As [`load_weights`](Self::load_weights).
    pub fn load_weights_as(
        &mut self,
        path: impl AsRef<Path>,
        loading: &Loading,
    ) -> Result<Mismatch, LoadError> {
        let path = path.as_ref();
        load(&mut self.layers, &disk::read(path)?, loading).map_err(|kind| kind.of(path))
    }

    /// Saves all parameters as a safetensors file, which PyTorch loads with `strict=True`. It writes the whole file or
    /// nothing: an existing file does not change until the new one is complete on the disk.
    ///
    /// # Errors
    /// The folder cannot be written to.
    #[doc(alias("save_file", "save_pytorch"))]
    pub fn save_weights(&self, path: impl AsRef<Path>) -> io::Result<()> {
        disk::write(path.as_ref(), &save(&self.layers))
    }
}
