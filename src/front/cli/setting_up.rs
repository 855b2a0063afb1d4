// SPDX-License-Identifier: Apache-2.0
//! The words that set a host up: install-postfix, man and completions.

use super::{DONE, WHERE};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox install-postfix --dry-run    what would be done, file by file\n  \
    spawnbox install-postfix\n  \
    spawnbox install-postfix --remove     the way back\n\n\
    Never touches master.cf: it prints the commands for that.\n\
    Exit status: 0 done, 1 something is in the way and nothing was changed.")]
pub(in crate::front) struct InstallPostfix {
    /// Print what would be done, and do nothing
    ///
    /// Example: spawnbox install-postfix --dry-run
    #[arg(long, help_heading = DONE)]
    pub(in crate::front) dry_run: bool,
    /// Remove what was installed; refused while an entry of master.cf still starts spawnbox
    ///
    /// Example: spawnbox install-postfix --remove
    #[arg(long, help_heading = DONE)]
    pub(in crate::front) remove: bool,
    /// Where main.cf and master.cf are [default: where postconf(1) finds them]
    ///
    /// Example: spawnbox install-postfix -c /etc/postfix-out
    #[arg(short = 'c', long, help_heading = WHERE, value_name = "DIR")]
    pub(in crate::front) config_directory: Option<PathBuf>,
    /// Where units are read and written, without telling systemd [default: /etc/systemd/system, if systemd runs]
    ///
    /// Example: spawnbox install-postfix --unit-directory ./root/etc/systemd/system
    #[arg(long, help_heading = WHERE, value_name = "DIR")]
    pub(in crate::front) unit_directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox man | man -l -\n  \
    spawnbox man spawnbox-policy | man -l -\n  \
    spawnbox man >/usr/local/share/man/man8/spawnbox.8")]
pub(in crate::front) struct Man {
    /// Which page
    #[arg(value_enum, default_value_t = Page::Spawnbox)]
    pub(in crate::front) page: Page,
}

/// A manual page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::front) enum Page {
    /// spawnbox(8): the program, and what differs from spawn(8)
    Spawnbox,
    /// spawnbox-policy(5): every key of a policy
    SpawnboxPolicy,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox dashboard >spawnbox.json\n\n\
    To be imported in Grafana; the source of data, a Prometheus, is chosen there.")]
pub(in crate::front) struct Dashboard {}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox completions bash >/etc/bash_completion.d/spawnbox\n  \
    spawnbox completions fish | source")]
pub(in crate::front) struct Completions {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(in crate::front) shell: clap_complete::Shell,
}
