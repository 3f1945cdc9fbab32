//! Wrong data files of all kinds: a typed error names the file, what was expected and what was found,
//! and the readers return nothing of the file.

use chainrule::data::{DataError, FileError, FileErrorKind, read_images, read_labels, read_mnist};
use flate2::{Compression, write::GzEncoder};
use proptest::{prelude::*, test_runner::FileFailurePersistence};
use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

/// An IDX file of two images with 2×3 pixels.
fn images() -> Vec<u8> {
    let header = [2051_u32, 2, 2, 3].map(u32::to_be_bytes).concat();
    [header, (1..=12).map(|pixel| pixel * 20).collect()].concat()
}

fn labels() -> Vec<u8> {
    [[2049_u32, 2].map(u32::to_be_bytes).concat(), vec![7, 1]].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn image_error<const N: usize>(bytes: &[u8]) -> FileError {
    read_images::<N>("images", bytes).unwrap_err()
}

#[test]
fn plain_and_compressed_are_the_same() {
    let pixels = read_images::<6>("images", &images()[..]).unwrap();
    assert_eq!(pixels.0, [[20, 40, 60, 80, 100, 120], [140, 160, 180, 200, 220, 240]]);
    assert_eq!(read_images::<6>("images", &gzip(&images())[..]).unwrap(), pixels);
    assert_eq!(read_labels("labels", &labels()[..], 10).unwrap(), [7, 1]);
    assert_eq!(read_labels("labels", &gzip(&labels())[..], 10).unwrap(), [7, 1]);
}

/// A file that ends after any byte, plain or packed, gives an error.
#[test]
fn truncated() {
    let (plain, packed) = (images(), gzip(&images()));
    for end in 0..plain.len() {
        let error = image_error::<6>(&plain[..end]);
        let FileErrorKind::Truncated { expected, found } = error.kind else {
            panic!("{error}");
        };
        assert_eq!((expected, found), (if end < 16 { 16 } else { 28 }, end as u64));
    }
    for end in 2..packed.len() {
        let error = image_error::<6>(&packed[..end]);
        let FileErrorKind::TruncatedGzip { at } = error.kind else {
            panic!("{end}: {error}");
        };
        assert_eq!(at, end as u64);
    }
    let error = image_error::<6>(&plain[..20]);
    assert_eq!(error.to_string(), "images: expected 28 bytes, found only 20");
    let error = read_labels("labels", &labels()[..9], 10).unwrap_err();
    assert_eq!(error.to_string(), "labels: expected 10 bytes, found only 9");
    let error = image_error::<6>(&packed[..20]);
    assert_eq!(error.to_string(), "images: expected more gzip data, found the end at byte 20");
    let error = image_error::<6>(&gzip(&plain[..20]));
    assert_eq!(error.to_string(), "images: expected 28 bytes, found only 20");
}

#[test]
fn too_long() {
    for bytes in [[images(), vec![0]].concat(), gzip(&[images(), vec![0]].concat())] {
        let error = image_error::<6>(&bytes).to_string();
        assert_eq!(error, "images: expected 28 bytes, found more");
    }
}

#[test]
fn damaged_archive() {
    let mut packed = gzip(&images());
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    assert!(matches!(image_error::<6>(&packed).kind, FileErrorKind::Read(_)));
}

/// An image may be larger than the stack of a thread.
#[test]
fn large_images() {
    const N: usize = 2048 * 2048;
    let header = [2051_u32, 1, 2048, 2048].map(u32::to_be_bytes).concat();
    let pixels = read_images::<N>("images", &[header, vec![7; N]].concat()[..]).unwrap();
    assert!(pixels.0.as_flattened().iter().all(|&pixel| pixel == 7));
}

/// gzip and Python's `gzip` read these: zeros after a member, and more members.
#[test]
fn zeros_and_members_after_a_gzip_member() {
    let (file, zeros) = (images(), [0; 600]);
    let whole = gzip(&file);
    let (head, tail) = (gzip(&file[..20]), gzip(&file[20..]));
    for packed in [
        [&whole[..], &zeros[..1]].concat(),
        [&whole[..], &zeros].concat(),
        [&head[..], &tail].concat(),
        [&head[..], &zeros, &tail, &zeros].concat(),
    ] {
        let pixels = read_images::<6>("images", &packed[..]).unwrap();
        assert_eq!(pixels.0.concat(), file[16..]);
        // A reader may return one byte at a time.
        assert_eq!(read_images::<6>("images", OneByOne(&packed)).unwrap(), pixels);
    }
    assert!(read_images::<6>("images", OneByOne(&file)).is_ok());
}

#[test]
fn rubbish_after_a_gzip_member() {
    let whole = gzip(&images());
    for (rubbish, at, byte) in [
        (&b"X"[..], 0, 0x58),
        (b"\0\0rest", 2, 0x72),
        (b"\x1f", 0, 0x1f),
        (b"\0\x1f\0", 1, 0x1f),
        (&images(), 2, 8),
    ] {
        let error = image_error::<6>(&[&whole[..], rubbish].concat());
        let at = (whole.len() + at) as u64;
        let FileErrorKind::AfterGzip { at: found_at, found } = error.kind else {
            panic!("{error}");
        };
        assert_eq!((found_at, found), (at, byte));
        assert_eq!(
            error.to_string(),
            format!(
                "images: expected zeros or the end of the file after the gzip data, \
                 found 0x{byte:02x} at byte {at}"
            )
        );
    }
}

/// A reader that returns one byte at a time.
struct OneByOne<'a>(&'a [u8]);

impl Read for OneByOne<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let one = bytes.len().min(1);
        self.0.read(&mut bytes[..one])
    }
}

/// An image without pixels takes no bytes, so a header can promise 2³² of them.
#[test]
fn images_without_pixels() {
    let bytes = [2051, u32::MAX, 0, 28].map(u32::to_be_bytes).concat();
    for error in [image_error::<0>(&bytes), image_error::<784>(&bytes)] {
        assert!(matches!(error.kind, FileErrorKind::NoPixels { rows: 0, columns: 28 }), "{error}");
        assert_eq!(
            error.to_string(),
            "images: expected at least one pixel per image, found 0 × 28"
        );
    }
    let error = image_error::<0>(&images());
    let size = DataError::Features { expected: 0, found: 6 };
    assert!(matches!(error.kind, FileErrorKind::Data(found) if found == size));
}

#[test]
fn another_kind_of_file() {
    let error = image_error::<6>(&labels()).to_string();
    assert_eq!(error, "images: expected the magic number 2051 of IDX images, found 2049");
    let error = read_labels("labels", &images()[..], 10).unwrap_err().to_string();
    assert_eq!(error, "labels: expected the magic number 2049 of IDX labels, found 2051");
    let error = image_error::<6>(b"hello, world").to_string();
    assert_eq!(error, "images: expected the magic number 2051 of IDX images, found 1751477356");
}

#[test]
fn another_image_size() {
    let error = image_error::<784>(&images());
    let size = DataError::Features { expected: 784, found: 6 };
    assert!(matches!(error.kind, FileErrorKind::Data(found) if found == size));
    assert_eq!(error.to_string(), "images: expected 784 features per sample, found 6");
}

#[test]
fn impossible_sizes() {
    let bytes = [2051, u32::MAX, u32::MAX, u32::MAX].map(u32::to_be_bytes).concat();
    let error = image_error::<6>(&bytes).to_string();
    let most = u32::MAX;
    assert_eq!(
        error,
        format!(
            "images: expected a size below 2⁶⁴ bytes, found {most} images of {most} × {most} pixels"
        )
    );
    // A header may promise more than fits into memory. The readers allocate nothing for data that they have not read.
    let bytes = [2051, u32::MAX, 2, 3].map(u32::to_be_bytes).concat();
    assert!(matches!(image_error::<6>(&bytes).kind, FileErrorKind::Truncated { found: 16, .. }));
}

#[test]
fn label_out_of_range() {
    let error = read_labels("labels", &labels()[..], 5).unwrap_err();
    let label = DataError::Label { sample: 0, found: 7, classes: 5 };
    assert!(matches!(error.kind, FileErrorKind::Data(found) if found == label));
    assert_eq!(error.to_string(), "labels: expected labels below 5, found 7 at sample 0");
}

/// A folder with four files.
fn folder(images: &[u8], labels: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "t10k"] {
        fs::write(folder.path().join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.path().join(format!("{part}-labels-idx1-ubyte.gz")), gzip(labels))
            .unwrap();
    }
    folder
}

#[test]
fn whole_folder() {
    let there = folder(&images(), &labels());
    let [train, test] = read_mnist::<6, 10>(there.path()).unwrap();
    assert_eq!((train.len(), train.targets()), (2, &vec![7, 1]));
    assert_eq!(train, test);
}

#[test]
fn counts_disagree() {
    let one = [[2049_u32, 1].map(u32::to_be_bytes).concat(), vec![7]].concat();
    let there = folder(&images(), &one);
    let error = read_mnist::<6, 10>(there.path()).unwrap_err();
    let counts = DataError::Counts { inputs: 2, targets: 1 };
    assert!(matches!(error.kind, FileErrorKind::Data(found) if found == counts));
    assert!(error.file.ends_with("train-labels-idx1-ubyte.gz"));
    assert!(
        error
            .to_string()
            .ends_with(": expected one target per input, found 2 inputs and 1 targets"),
        "{error}"
    );
}

#[test]
fn missing_file() {
    let error = read_mnist::<784, 10>("/no/such/folder").unwrap_err();
    let name = "/no/such/folder/train-images-idx3-ubyte";
    assert_eq!(error.file, Path::new(name));
    assert!(
        matches!(&error.kind, FileErrorKind::Missing { gzip } if gzip.ends_with(format!("{name}.gz")))
    );
    assert_eq!(
        error.to_string(),
        format!("{name}: expected this file or {name}.gz, found neither")
    );
    let empty = [[2051_u32, 0, 2, 3].map(u32::to_be_bytes).concat()].concat();
    let none = [2049_u32, 0].map(u32::to_be_bytes).concat();
    let error = read_mnist::<6, 10>(folder(&empty, &none).path()).unwrap_err();
    assert!(matches!(error.kind, FileErrorKind::Data(DataError::Empty)), "{error}");
}

fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::Direct("proptest-regressions/data.txt");
    ProptestConfig { failure_persistence: Some(Box::new(seeds)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// No file makes the readers panic, and they accept only the right one.
    #[test]
    fn any_bytes(bytes: Vec<u8>, at in 0usize..28, byte: u8) {
        prop_assert!(read_images::<6>("images", &bytes[..]).is_err());
        prop_assert!(read_labels("labels", &bytes[..], 10).is_err() || bytes.len() >= 8);
        let mut file = images();
        file[at] = byte;
        prop_assert!(read_images::<6>("images", &file[..]).is_err() || at >= 16 || file == images());
    }

    /// The readers refuse a damaged archive. If only its date or similar fields differ, they read the same data.
    #[test]
    fn any_archive(at in 0usize..40, byte: u8, rest: Vec<u8>) {
        let (mut packed, pixels) = (gzip(&images()), read_images::<6>("images", &images()[..]));
        let at = at % packed.len();
        packed[at] = byte;
        if let Ok(found) = read_images::<6>("images", &packed[..]) {
            prop_assert_eq!(found, pixels.unwrap());
        }
        let only_zeros = rest.iter().all(|&byte| byte == 0);
        let longer = [gzip(&images()), rest].concat();
        prop_assert_eq!(read_images::<6>("images", &longer[..]).is_ok(), only_zeros);
    }
}
