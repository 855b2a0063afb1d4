// SPDX-License-Identifier: Apache-2.0
//! master.cf as `postconf -M` prints it, one entry a line, and the command line that master(8) makes of an entry.
//! Pure: the text comes from the caller. Columns are read as master_ent.c of Postfix 3.7 reads them.
#![forbid(unsafe_code)]

use super::words::{base_name, split_list, split_name_value, take_word};

const BLANK: &[char] = &[' ', '\t', '\r', '\n'];
/// Service, type, private, unprivileged, chroot, wake-up time, process limit, command.
const COLUMNS: usize = 8;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// First column.
    pub service: String,
    /// Second column: `inet`, `unix`, `pass`, or what we do not serve.
    pub transport: String,
    /// Eighth column.
    pub command: String,
    /// `y` or nothing written, which means the same.
    unprivileged: bool,
    chroot: Column,
    limit: String,
    arguments: Vec<String>,
    line: String,
}

/// What stands in a column with yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Yes,
    No,
    Default,
}

/// What the chroot column means where nothing is written: it changed with `compatibility_level` 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChrootDefault {
    /// `compatibility_level` is 0.
    Yes,
    /// It is 1 or more.
    No,
}

/// A line that is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum EntryError {
    #[error("no entry of master.cf: {0}")]
    Short(String),
    #[error("{entry}: the {column} column has {found}: it is y, n or -")]
    Column { entry: String, column: &'static str, found: String },
    #[error("{entry}: {why}")]
    Braces { entry: String, why: String },
}

/// Reads what `postconf -M` prints.
pub fn parse(text: &str) -> Result<Vec<Entry>, EntryError> {
    text.lines().map(|line| line.trim_matches(BLANK)).filter(|line| !line.is_empty()).map(Entry::parse).collect()
}

impl Entry {
    fn parse(line: &str) -> Result<Entry, EntryError> {
        let start = |columns: &[String]| columns.iter().take(2).cloned().collect::<Vec<_>>().join("/");
        let plain: Vec<String> = line.split_whitespace().take(2).map(str::to_string).collect();
        let braces = |why| EntryError::Braces { entry: start(&plain), why };
        let words = split_list(line, BLANK).map_err(braces)?;
        let Some((columns, arguments)) = words.split_at_checked(COLUMNS) else {
            return Err(EntryError::Short(line.to_string()));
        };
        let column = |at: usize, name| {
            let wrong =
                |found: &str| EntryError::Column { entry: start(columns), column: name, found: found.to_string() };
            Column::parse(&columns[at]).ok_or_else(|| wrong(&columns[at]))
        };
        Ok(Entry {
            service: columns[0].clone(),
            transport: columns[1].clone(),
            unprivileged: column(3, "unprivileged")? != Column::No,
            chroot: column(4, "chroot")?,
            limit: columns[6].clone(),
            command: columns[7].clone(),
            arguments: arguments.to_vec(),
            line: line.to_string(),
        })
    }

    /// As postconf(1) writes it.
    pub fn title(&self) -> String {
        format!("{}/{}", self.service, self.transport)
    }

    /// Whether it starts us, by whatever path.
    pub fn is_ours(&self) -> bool {
        base_name(&self.command) == "spawnbox"
    }

    /// The entry with another command, as `postconf -M` takes it. spawn(8) knows no `policy=`, so that goes with us.
    pub fn with_command(&self, command: &str) -> String {
        let mut words = Vec::new();
        let mut rest = self.line.as_str();
        while !rest.is_empty() {
            let (word, after) = take_word(rest, BLANK);
            let attribute = words.len() >= COLUMNS && words.last() != Some(&"-o");
            if attribute && is_named(word, "argv=") {
                // What the command gets stays as it was written.
                words.push(rest);
                break;
            }
            if words.len() == COLUMNS - 1 {
                words.push(command);
            } else if !(attribute && command == "spawn" && is_named(word, "policy=")) {
                words.push(word);
            }
            rest = after.trim_start_matches(BLANK);
        }
        words.join(" ")
    }

    /// Whether an `-o` of the entry sets this parameter.
    pub fn sets(&self, parameter: &str) -> bool {
        let value = |word: &String| split_name_value(word).is_ok_and(|(name, _)| name == parameter);
        self.arguments.iter().any(value)
    }

    /// What master(8) puts behind the program's name.
    pub fn words(&self, chroot: ChrootDefault) -> Vec<String> {
        let mut words = Vec::new();
        let mut add = |these: &[&str]| words.extend(these.iter().map(|word| (*word).to_string()));
        match self.limit.as_str() {
            "1" => add(&["-l"]),
            "0" => add(&["-z"]),
            _ => {}
        }
        add(&["-n", &self.service, "-t", &self.transport]);
        if self.unprivileged {
            add(&["-u"]);
        }
        match (self.chroot, chroot) {
            (Column::Yes, _) | (Column::Default, ChrootDefault::Yes) => add(&["-c"]),
            (Column::No, _) | (Column::Default, ChrootDefault::No) => {}
        }
        words.extend(self.arguments.iter().cloned());
        words
    }
}

impl Column {
    fn parse(word: &str) -> Option<Column> {
        match word {
            "y" => Some(Column::Yes),
            "n" => Some(Column::No),
            "-" => Some(Column::Default),
            _ => None,
        }
    }
}

/// Whether a word is an attribute of this name, which is known in any case.
fn is_named(word: &str, name: &str) -> bool {
    word.split_at_checked(name.len()).is_some_and(|(start, _)| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> String {
        let entries = parse(line).unwrap();
        entries[0].words(ChrootDefault::No).join("|")
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for (line, complaint) in [
            ("policy unix - n n", "no entry of master.cf: policy unix - n n"),
            ("a unix - x n - 0 spawnbox", "a/unix: the unprivileged column has x: it is y, n or -"),
            ("a unix - n Y - 0 spawnbox", "a/unix: the chroot column has Y: it is y, n or -"),
            ("a unix - n n - 0 spawnbox -o { b = c", "a/unix: missing '}' in \"{ b = c\""),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), complaint);
        }
    }

    #[test]
    fn the_command_line_is_the_one_that_master_makes() {
        for (line, expected) in [
            ("p unix - n n - 0 spawnbox user=a argv=/b c", "-z|-n|p|-t|unix|user=a|argv=/b|c"),
            ("p unix  -  n  n  -  1  spawnbox  user=a", "-l|-n|p|-t|unix|user=a"),
            ("127.0.0.1:9 inet n n - - 10 spawnbox", "-n|127.0.0.1:9|-t|inet"),
            ("p unix - - y - - spawnbox", "-n|p|-t|unix|-u|-c"),
            ("p unix - n n - - spawnbox -o { a = b c } argv=/x { y z }", "-n|p|-t|unix|-o|a = b c|argv=/x|y z"),
        ] {
            assert_eq!(words(line), expected);
        }
    }

    #[test]
    fn another_command_leaves_everything_else_as_it_is() {
        for (line, command, expected) in [
            ("p  unix -  n n - 0  spawn user=a argv=/b  c", "spawnbox", "p unix - n n - 0 spawnbox user=a argv=/b  c"),
            (
                "p unix - n n - 0 spawn -o { a = b } user=a argv=/b",
                "spawnbox",
                "p unix - n n - 0 spawnbox -o { a = b } user=a argv=/b",
            ),
            (
                "p unix - n n - 0 spawnbox policy=x user=a argv=/b policy=y",
                "spawn",
                "p unix - n n - 0 spawn user=a argv=/b policy=y",
            ),
            ("p unix - n n - 0 spawn", "spawnbox", "p unix - n n - 0 spawnbox"),
            ("p\x0cq unix - n n - 0 spawn a\x0cb", "spawnbox", "p\x0cq unix - n n - 0 spawnbox a\x0cb"),
            (
                "p unix - n n - 0 spawn -o { a = b  c } -o argv=d user=a Argv=/b  { c }",
                "spawnbox",
                "p unix - n n - 0 spawnbox -o { a = b  c } -o argv=d user=a Argv=/b  { c }",
            ),
            (
                "p unix - n n - 0 spawnbox -o policy=x Policy=y user=a argv=/b",
                "spawn",
                "p unix - n n - 0 spawn -o policy=x user=a argv=/b",
            ),
        ] {
            assert_eq!(parse(line).unwrap()[0].with_command(command), expected);
        }
    }

    #[test]
    fn what_the_entry_sets_itself_is_known() {
        let entry = &parse("p unix - n n - 0 spawnbox -o p_time_limit=3 -o { q = 4 } user=a").unwrap()[0];
        assert!(entry.sets("p_time_limit") && entry.sets("q") && !entry.sets("time_limit"));
    }

    #[test]
    fn an_old_configuration_has_its_daemons_in_a_chroot() {
        let entries = parse("p unix - n - - - spawnbox\nq unix - n n - - spawnbox\n").unwrap();
        let chroot = |entry: &Entry| entry.words(ChrootDefault::Yes).contains(&"-c".to_string());
        assert_eq!(entries.iter().map(chroot).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn an_entry_is_ours_by_its_commands_last_part() {
        let ours = |command: &str| parse(&format!("p unix - n n - - {command}")).unwrap()[0].is_ours();
        assert!(ours("spawnbox") && ours("/usr/local/sbin/spawnbox"));
        assert!(!ours("spawn") && !ours("smtpd") && !ours("notspawnbox"));
    }
}
