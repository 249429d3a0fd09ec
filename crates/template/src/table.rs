//! Rows of cells as Go's `text/tabwriter` lays them out: what scripts read of docker's and runc's lists.

/// Columns three blanks apart and `least` wide at least, as wide as their widest cell; nothing behind the last.
///
/// As tabwriter does, it takes every character for one column of the screen.
pub fn table(rows: &[Vec<String>], least: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count() + 3).max().unwrap_or(0).max(least)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: String = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        cells.trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let rows = [["ID", "NAME", ""], ["0123456789ab", "långt", "x"], ["1", "", ""]];
        let rows: Vec<_> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        assert_eq!(table(&rows, 4), "ID             NAME\n0123456789ab   långt   x\n1\n");
        assert_eq!(table(&rows, 10), "ID             NAME\n0123456789ab   långt     x\n1\n");
        assert_eq!(table(&[], 10), "");
    }
}
