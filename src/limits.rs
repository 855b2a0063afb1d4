// SPDX-License-Identifier: Apache-2.0
#![doc = include_str!("limits.md")]

/// The page above.
pub const PAGE: &str = include_str!("limits.md");

#[cfg(test)]
mod tests {
    use super::PAGE;

    const README: &str = include_str!("../README.md");

    /// The number of a cell in the README's tables: of the first row that begins so and has one with this unit there.
    fn measured(row: &str, cell: usize, unit: &str) -> f64 {
        let number = |line: &str| line.split('|').nth(cell)?.trim().strip_suffix(unit)?.parse().ok();
        let mut rows = README.lines().filter(|line| line.starts_with(row));
        rows.find_map(number).unwrap_or_else(|| panic!("no number in cell {cell} of {row:?} in README.md"))
    }

    /// Who measures again may find others: those that are no longer near have to be written anew.
    #[test]
    fn the_pages_figures_are_near_those_that_the_readme_has() {
        for (words, figure, row, cell, unit) in [
            ("2400 over TCP under `strict`", 2400.0, "| spawnbox | strict |", 4, ""),
            ("1150 over a UNIX socket", 1150.0, "| spawnbox, UNIX | strict |", 4, ""),
            ("30 KiB are of a process of ours", 30.0, "| spawnbox | ", 4, " KiB"),
            ("250 KiB the kernel's", 250.0, "| spawnbox | ", 5, " KiB"),
        ] {
            assert!(PAGE.contains(words), "no {words:?} in src/limits.md");
            let there = measured(row, cell, unit);
            assert!((0.75..=1.33).contains(&(there / figure)), "{words:?} in src/limits.md, and {there} in README.md");
        }
    }
}
