use chainrule::kernel::sum_columns;

fn main() {
    let mut sums = [0.0_f32; 2];
    sum_columns(&[1.0], &mut sums, true);
}
