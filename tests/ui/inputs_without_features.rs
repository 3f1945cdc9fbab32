use chainrule::data::{Dataset, DataError};

fn numbers(values: Vec<i32>, labels: Vec<usize>) -> Result<(), DataError> {
    Dataset::labelled(values, labels, 10)?;
    Ok(())
}

fn bytes(values: &Vec<u8>, labels: Vec<usize>) -> Result<(), DataError> {
    Dataset::labelled(values, labels, 10)?;
    Ok(())
}

fn rows(rows: Vec<Vec<f32>>, labels: Vec<usize>) -> Result<(), DataError> {
    Dataset::labelled(rows, labels, 10)?;
    Ok(())
}

fn images(images: Vec<[u8; 784]>, labels: Vec<usize>) -> Result<(), DataError> {
    Dataset::labelled(images, labels, 10)?;
    Ok(())
}

fn main() {}
