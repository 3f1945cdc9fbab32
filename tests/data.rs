//! Data files that are wrong in every way: a typed error that names file, expected and found, and
//! never part of a data set.

use chainrule::data::{
    DataError, Dataset, Draw, FileError, FileErrorKind, Pixels, Samples, from_dmatrix, read_images,
    read_labels, read_mnist,
};
use flate2::{Compression, write::GzEncoder};
use nalgebra::{Const, DMatrix, Dyn};
use proptest::{prelude::*, test_runner::FileFailurePersistence};
use std::{fs, io::Write, path::Path};

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

/// Cut after any byte, plain or packed, a file is an error.
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
        assert!(matches!(error.kind, FileErrorKind::Truncated { .. }), "{end}: {error}");
    }
    let error = image_error::<6>(&plain[..20]);
    assert_eq!(error.to_string(), "images: cut short: 28 bytes expected, 20 found");
    let error = read_labels("labels", &labels()[..9], 10).unwrap_err();
    assert_eq!(error.to_string(), "labels: cut short: 10 bytes expected, 9 found");
}

#[test]
fn too_long() {
    for bytes in [[images(), vec![0]].concat(), gzip(&[images(), vec![0]].concat())] {
        let error = image_error::<6>(&bytes).to_string();
        assert_eq!(error, "images: too long: 28 bytes expected, more found");
    }
}

#[test]
fn damaged_archive() {
    let mut packed = gzip(&images());
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    assert!(matches!(image_error::<6>(&packed).kind, FileErrorKind::Read(_)));
}

#[test]
fn another_kind_of_file() {
    let error = image_error::<6>(&labels()).to_string();
    assert_eq!(error, "images: no IDX images: magic number 2051 expected, 2049 found");
    let error = read_labels("labels", &images()[..], 10).unwrap_err().to_string();
    assert_eq!(error, "labels: no IDX labels: magic number 2049 expected, 2051 found");
    let error = image_error::<6>(b"hello, world").to_string();
    assert_eq!(error, "images: no IDX images: magic number 2051 expected, 1751477356 found");
}

#[test]
fn another_image_size() {
    let error = image_error::<784>(&images());
    let size = DataError::Features { expected: 784, found: 6 };
    assert!(matches!(error.kind, FileErrorKind::Data(found) if found == size));
    assert_eq!(error.to_string(), "images: 6 features a sample, expected 784");
}

#[test]
fn impossible_sizes() {
    let bytes = [2051, u32::MAX, u32::MAX, u32::MAX].map(u32::to_be_bytes).concat();
    let error = image_error::<6>(&bytes).to_string();
    let most = u32::MAX;
    assert_eq!(
        error,
        format!("images: {most} × {most} × {most} pixels are more than a file can hold")
    );
    // A header may promise what there is no memory for: nothing is taken before it is read.
    let bytes = [2051, u32::MAX, 2, 3].map(u32::to_be_bytes).concat();
    assert!(matches!(image_error::<6>(&bytes).kind, FileErrorKind::Truncated { found: 16, .. }));
}

#[test]
fn label_out_of_range() {
    let error = read_labels("labels", &labels()[..], 5).unwrap_err();
    let label = DataError::Label { sample: 0, found: 7, classes: 5 };
    assert!(matches!(error.kind, FileErrorKind::Data(found) if found == label));
    assert_eq!(error.to_string(), "labels: sample 0: label 7, expected one below 5");
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
    assert!(error.to_string().ends_with(": 2 inputs, but 1 targets"), "{error}");
}

#[test]
fn missing_file() {
    let error = read_mnist::<784, 10>("/no/such/folder").unwrap_err();
    assert_eq!(error.file, Path::new("/no/such/folder/train-images-idx3-ubyte.gz"));
    assert!(matches!(error.kind, FileErrorKind::Read(_)));
    let empty = [[2051_u32, 0, 2, 3].map(u32::to_be_bytes).concat()].concat();
    let none = [2049_u32, 0].map(u32::to_be_bytes).concat();
    let error = read_mnist::<6, 10>(folder(&empty, &none).path()).unwrap_err();
    assert!(matches!(error.kind, FileErrorKind::Data(DataError::Empty)), "{error}");
}

#[test]
fn matrices_of_run_time_size() {
    let matrix = DMatrix::from_fn(3, 5, |i, j| (10 * i + j) as f64);
    let batch = from_dmatrix::<f64, 3>(matrix.clone()).unwrap();
    assert_eq!(batch.as_slice(), matrix.as_slice());
    let data = Dataset::labelled(batch, vec![0, 1, 2, 0, 1], 3).unwrap();
    let mut x = Draw::<f64, _>::lend(data.inputs(), Const::<2>);
    Draw::<f64, _>::draw(data.inputs(), &[4, 1], &mut x);
    assert_eq!(x.as_slice(), [4.0, 14.0, 24.0, 1.0, 11.0, 21.0]);
    let error = from_dmatrix::<f64, 4>(matrix).unwrap_err();
    assert_eq!(error, DataError::Features { expected: 4, found: 3 });
}

#[test]
fn drawn_samples() {
    let pixels = Pixels(vec![[0, 51], [255, 102]]);
    let mut x = Draw::<f64, _>::lend(&pixels, Const::<3>);
    pixels.draw(&[1, 0, 1], &mut x);
    assert_eq!(x.as_slice(), [1.0, 0.4, 0.0, 0.2, 1.0, 0.4]);

    let rows = [[1.0_f32, 2.0], [3.0, 4.0]];
    let mut x = Draw::<f32, _>::lend(&&rows[..], Dyn(2));
    Draw::<f32, _>::draw(&&rows[..], &[1, 9, 0], &mut x);
    assert_eq!((x.as_slice(), (&rows[..]).count()), (&[3.0, 4.0, 1.0, 2.0][..], 2));

    assert_eq!(
        Dataset::new(vec![[0.0]], vec![0, 1]),
        Err(DataError::Counts { inputs: 1, targets: 2 })
    );
    assert_eq!(Dataset::new(Vec::<[f64; 1]>::new(), Vec::<usize>::new()), Err(DataError::Empty));
}

fn config() -> ProptestConfig {
    let seeds = FileFailurePersistence::Direct("proptest-regressions/data.txt");
    ProptestConfig { failure_persistence: Some(Box::new(seeds)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// No file makes the readers panic, and none but the right one is taken.
    #[test]
    fn any_bytes(bytes: Vec<u8>, at in 0usize..28, byte: u8) {
        prop_assert!(read_images::<6>("images", &bytes[..]).is_err());
        prop_assert!(read_labels("labels", &bytes[..], 10).is_err() || bytes.len() >= 8);
        let mut file = images();
        file[at] = byte;
        prop_assert!(read_images::<6>("images", &file[..]).is_err() || at >= 16 || file == images());
    }
}
