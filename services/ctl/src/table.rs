//! Text in columns: tables with a heading, and lists of what is what. Pure.

use crate::words::line;

/// Between two columns.
const GAP: &str = "  ";
/// The first column of a list.
const LABEL: usize = 17;

/// A table: columns as wide as their widest cell, columns of numbers to the right, the last one as long as it is.
pub fn table<const COLUMNS: usize>(heading: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| line(cell)).collect()).collect();
    let column = |index: usize| rows.iter().filter_map(move |row| row.get(index));
    let is_number = |cell: &String| !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
    let shapes: Vec<(usize, bool)> = heading
        .iter()
        .enumerate()
        .map(|(index, heading)| {
            let widest = column(index).map(|cell| cell.chars().count()).max().unwrap_or(0);
            (widest.max(heading.chars().count()), !rows.is_empty() && column(index).all(is_number))
        })
        .collect();
    let heading: Vec<String> = heading.iter().map(|heading| (*heading).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&heading).chain(&rows) {
        let cells = row.iter().zip(&shapes).map(|(cell, (width, right))| match right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join(GAP).trim_end());
        text.push('\n');
    }
    text
}

/// One line of a list.
pub fn item(label: &str, value: &str) -> String {
    format!("{label:<LABEL$}{}", line(value)).trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_to_the_right() {
        let rows = [["Heartbeat", "7", "ok"], ["Ä", "1200", "a long last cell"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["action", "sent", "note"], &rows),
            "action     sent  note\nHeartbeat     7  ok\nÄ          1200  a long last cell\n"
        );
    }

    #[test]
    fn a_cell_stays_on_its_line() {
        assert_eq!(table(["a"], &[["x\ny".to_owned()]]), "a\nx\\ny\n");
        assert_eq!(table(["a", "b"], &[]), "a  b\n");
        assert_eq!(item("why", "no\u{7} link"), "why              no\\u{7} link\n");
        assert_eq!(item("why", ""), "why\n");
    }
}
