//! If the header of a file promises too much, the readers allocate no more than the file needs.

mod largest;

use chainrule::data::{read_images, read_labels};
use largest::LARGEST;

#[test]
fn a_header_reserves_nothing() {
    let images = [2051, u32::MAX, 28, 28].map(u32::to_be_bytes).concat();
    let labels = [2049, u32::MAX].map(u32::to_be_bytes).concat();
    LARGEST.set(0);
    assert!(read_images::<784>("images", &images[..]).is_err());
    assert!(read_labels("labels", &labels[..], 10).is_err());
    assert!(LARGEST.get() > 0, "the allocator is in use");
    // The buffer for reading a file has 8 KiB.
    assert!(LARGEST.get() <= 16 << 10, "{} bytes at once", LARGEST.get());
}
