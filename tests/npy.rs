//! NumPy's files: those of `tests/goldens/npy.py`, and broken ones. The header is not trusted.

mod largest;

use chainrule::data::{
    Dataset, NpyNumber, Pixels, from_slice, read_npy, read_npy_labels, write_npy,
};
use largest::LARGEST;
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{fs, path::Path};

const ROWS: [[f64; 3]; 2] = [[0.5, -1.25, 3.0], [1e-3, 1.401298464324817e-45, f64::INFINITY]];

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/npy");
    fs::read(folder.join(name).with_extension("npy")).unwrap()
}

fn read<T: NpyNumber, const N: usize>(bytes: &[u8]) -> Result<Vec<[T; N]>, String> {
    read_npy("x.npy", bytes).map_err(|error| error.to_string())
}

/// Writing gives the bytes of NumPy's file.
fn there_and_back<T: NpyNumber + PartialEq + std::fmt::Debug, const N: usize>(
    name: &str,
    expected: &[[T; N]],
) {
    assert_eq!(read::<T, N>(&file(name)).unwrap(), expected);
    let mut written = Vec::new();
    write_npy(&mut written, expected).unwrap();
    assert!(written == file(name), "{name}");
}

#[test]
fn numpys_files() {
    let rows = ROWS.map(|row| row.map(|x| x as f32));
    there_and_back("rows_f4", &rows);
    there_and_back("rows_f8", &ROWS);
    there_and_back::<f32, 3>("none_f4", &[]);
    there_and_back("labels_i8", &[[1_usize], [0], [2]]);
    assert_eq!(read::<f32, 3>(&file("second_f4")).unwrap(), rows);
    assert_eq!(read::<f64, 3>(&file("rows_f4")).unwrap(), rows.map(|row| row.map(f64::from)));

    let images = Pixels(read::<u8, 12>(&file("images_u1")).unwrap());
    let labels = read_npy_labels("t.npy", &file("labels_i4")[..], 3).unwrap();
    assert_eq!(labels, [1, 0, 2]);
    let data = Dataset::labelled(Pixels([images.0, vec![[9; 12]]].concat()), labels, 3).unwrap();
    let (x, _) = data.batch::<f64, _>(&[1], nalgebra::Const::<1>).unwrap();
    assert_eq!(
        x.map(|x| (x * 255.0).round()).as_slice(),
        (12..24).map(f64::from).collect::<Vec<_>>()
    );
    // Outputs of a net: a sample a column.
    let y = nalgebra::SMatrix::<f32, 3, 2>::from_column_slice(rows.as_flattened());
    let mut written = Vec::new();
    write_npy(&mut written, from_slice::<_, 3>(y.as_slice()).unwrap()).unwrap();
    assert!(written == file("rows_f4"));
}

#[test]
fn other_arrays() {
    let says = |found: Result<Vec<[f32; 3]>, String>, expected: &str| {
        assert_eq!(found.unwrap_err(), format!("x.npy: expected {expected}"));
    };
    says(read(&file("rows_f8")), "numbers of type <f4, found <f8");
    says(read(&file("big_endian")), "numbers of type <f4, found >f4");
    says(
        read(&file("fortran")),
        "samples one after the other, found Fortran order; `numpy.ascontiguousarray` changes it",
    );
    let shape = "samples of 3 numbers, found an array of shape";
    says(read(&file("scalar_f4")), &format!("{shape} []"));
    says(read::<u8, 3>(&file("images_u1")).map(|_| vec![]), &format!("{shape} [2, 1, 3, 4]"));
    let error = read::<f32, 3>(&file("records")).unwrap_err();
    assert!(
        error.starts_with("x.npy: expected a header as NumPy writes it, found {'descr': [('a'"),
        "{error}"
    );
    says(read(b"PK\x03\x04"), "an array of NumPy, found PK\u{3}\u{4}");
    says(
        read::<f64, 3>(&file("labels_i8")).map(|_| vec![]),
        "numbers of type <f8 or <f4, found <i8",
    );

    let labels = |name: &str, classes| {
        read_npy_labels("t.npy", &file(name)[..], classes).unwrap_err().to_string()
    };
    assert_eq!(
        labels("negative_i8", 3),
        "t.npy: expected numbers from 0 on that fit the memory, found another"
    );
    assert_eq!(labels("labels_i8", 2), "t.npy: expected labels below 2, found 2 at sample 2");
    assert!(labels("rows_f4", 2).starts_with("t.npy: expected numbers of type <i8 or <i4"));
}

/// A file with this text as its header.
fn with_header(text: &str) -> Vec<u8> {
    let length = (text.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\0"[..], &length, text.as_bytes(), &[0; 24]].concat()
}

#[test]
fn headers_that_lie() {
    let good = file("rows_f4");
    for end in 0..good.len() {
        read::<f32, 3>(&good[..end]).unwrap_err();
    }
    assert_eq!(
        read::<f32, 3>(&good[..151]).unwrap_err(),
        "x.npy: expected 152 bytes, found only 151"
    );
    let longer = [&good[..], &[0]].concat();
    assert_eq!(read::<f32, 3>(&longer).unwrap_err(), "x.npy: expected 152 bytes, found more");

    let shape = |shape: &str| {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let bytes = with_header(&header);
        LARGEST.set(0);
        let found = read::<f32, 3>(&bytes);
        assert!(LARGEST.get() <= bytes.len().max(1024), "{} bytes at once", LARGEST.get());
        found
    };
    assert_eq!(shape("(2, 3)").unwrap(), [[0.0; 3]; 2]);
    for lie in
        ["(3, 3)", "(1, 3)", "(2, 3", "2, 3)", "(-2, 3)", "(2.0, 3)", "(2, 3, 0)", "(2, 4)", "()"]
    {
        shape(lie).unwrap_err();
    }
    let huge = "(4611686018427387904, 3)";
    assert_eq!(
        shape(huge).unwrap_err(),
        "x.npy: expected a size that fits the memory, found an array of shape [4611686018427387904, 3]"
    );
    shape("(99999999999999999999, 3)").unwrap_err();
    shape("(1000000000, 3)").unwrap_err();
    // No samples of no numbers, and a header of 4 GB.
    assert!(
        read::<f32, 0>(&with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (9, 0), }"))
            .is_err()
    );
    LARGEST.set(0);
    read::<f32, 3>(b"\x93NUMPY\x02\0\xff\xff\xff\xff{}").unwrap_err();
    assert!(LARGEST.get() <= 1024, "{} bytes at once", LARGEST.get());
    // Nothing recurses.
    shape(&"(".repeat(60_000)).unwrap_err();
}

/// Any change of up to four bytes: no panic, and no allocation larger than the file and the error.
#[test]
fn mutated() {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
    let mut below = |n: usize| rng.next_u32() as usize % n;
    let (good, mut accepted) = (file("rows_f4"), 0);
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..=below(4) {
            let end = if below(4) == 0 { bytes.len() } else { 80 };
            let at = below(end);
            bytes[at] =
                if below(2) == 0 { b"0123456789(), '<f"[below(17)] } else { below(256) as u8 };
        }
        LARGEST.set(0);
        accepted += usize::from(read::<f32, 3>(&bytes).is_ok());
        assert!(LARGEST.get() <= 1024, "{} bytes at once", LARGEST.get());
    }
    assert!((1..20_000).contains(&accepted), "{accepted}");
}

#[test]
fn a_header_of_the_largest_size() {
    let whole = file("labels_i8");
    let shape = "(4611686018427387903,)";
    let text =
        String::from_utf8_lossy(&whole[10..128]).replace("'<i8'", "'<f4'").replace("(3,)", shape);
    let text = format!("{:<117}\n", text.trim_end());
    let bytes = [&whole[..10], text.as_bytes(), &whole[128..]].concat();
    let error = read::<f32, 1>(&bytes).unwrap_err();
    assert!(error.contains("18446744073709551615"), "{error}");
}

#[test]
fn labels_beyond_int64_are_not_written() {
    let mut file = Vec::new();
    let error = write_npy(&mut file, &[[1_usize], [1 << 63]]).unwrap_err();
    assert_eq!(error.to_string(), "a number does not fit the type <i8");
    assert!(file.is_empty());
}
