//! A matrix in a slice.

/// A read-only matrix in a slice, with the strides of its rows and columns.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    pub(crate) numbers: &'a [T],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl<'a, T> View<'a, T> {
    /// Columns of `rows` numbers, one after the other: an `SMatrix`, or a batch with one sample per column.
    #[inline(always)]
    pub const fn columns(numbers: &'a [T], rows: usize) -> Self {
        View { numbers, row: 1, column: rows }
    }

    /// Rows of `columns` numbers, one after the other.
    #[inline(always)]
    pub const fn rows(numbers: &'a [T], columns: usize) -> Self {
        View { numbers, row: columns, column: 1 }
    }

    /// The first entry is the first number of the slice. The entry below is `row` numbers further, the entry
    /// to the right `column` numbers further.
    #[inline(always)]
    pub const fn strided(numbers: &'a [T], row: usize, column: usize) -> Self {
        View { numbers, row, column }
    }

    /// The transposed matrix. It copies nothing.
    #[inline(always)]
    pub const fn transposed(self) -> Self {
        View { numbers: self.numbers, row: self.column, column: self.row }
    }

    /// Whether the slice is long enough for so many rows and columns.
    #[inline(always)]
    pub(crate) fn holds(&self, rows: usize, columns: usize) -> bool {
        let (Some(down), Some(right)) = (rows.checked_sub(1), columns.checked_sub(1)) else {
            return true;
        };
        let last = || down.checked_mul(self.row)?.checked_add(right.checked_mul(self.column)?);
        last().is_some_and(|last| last < self.numbers.len())
    }

    /// Where an entry lies in the slice.
    #[inline(always)]
    pub(crate) fn at(&self, row: usize, column: usize) -> usize {
        row.wrapping_mul(self.row).wrapping_add(column.wrapping_mul(self.column))
    }
}
