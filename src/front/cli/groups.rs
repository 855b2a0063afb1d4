// SPDX-License-Identifier: Apache-2.0
//! The words in groups, as a newcomer meets them: clap knows groups of options only.

use super::Cli;
use crate::plan::explain::broken;
use clap::{Command, CommandFactory};

/// What the words are for, in the order in which a newcomer meets them.
pub(super) const GROUPS: [(&str, &[&str]); 5] = [
    ("Serve", &["listen", "serve", "run"]),
    ("Write policies", &["explain", "check", "diff", "learn", "trace", "import"]),
    ("See what is served", &["status", "kill", "pause", "resume"]),
    ("Look at this host", &["doctor"]),
    ("Set up", &["install-postfix", "man", "dashboard", "completions", "help"]),
];

/// The grammar, with the words in groups, in lines of so many columns: clap knows groups of options only.
pub(in crate::front) fn grammar(width: usize) -> Command {
    let mut command = Cli::command();
    command.build();
    let heading = anstyle::Style::new().bold().underline();
    let mut words = String::new();
    for (group, names) in GROUPS {
        words.push_str(&format!("{heading}{group}:{heading:#}\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            let about =
                broken(&about.unwrap_or_default(), width.saturating_sub(MARGIN)).join(&format!("\n{:MARGIN$}", ""));
            let bold = anstyle::Style::new().bold();
            words.push_str(&format!("  {bold}{name:<15}{bold:#}  {about}\n"));
        }
        words.push('\n');
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{words}{heading}Options:{heading:#}\n{{options}}{{after-help}}"
    );
    Cli::command().help_template(template)
}

/// Where what a word is for begins: after the longest of them.
const MARGIN: usize = 19;
