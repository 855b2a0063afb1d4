// SPDX-License-Identifier: Apache-2.0
//! The words that help to write a policy: import, learn and trace.

use super::what::What;
use super::{LISTENING, PRINTED, WHAT, WRITTEN};
use crate::policy::address::Address;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox import /etc/xinetd.d/finger >/etc/spawnbox/finger.toml\n  \
    spawnbox import --from nsjail chal.cfg\n  \
    systemctl cat quota | spawnbox import -\n\n\
    Exit status: 0 all of it was carried, 1 it cannot be read, 2 usage, or it is none of these,\n\
    3 the end of the policy names what was not carried.")]
pub(in crate::front) struct Import {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    pub(in crate::front) file: PathBuf,
    /// What it is [default: what it looks like]
    ///
    /// Example: spawnbox import --from oci /etc/containers/seccomp.json
    #[arg(long, help_heading = WHAT, value_enum, value_name = "FORMAT")]
    pub(in crate::front) from: Option<From>,
}

/// What can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::front) enum From {
    /// The seccomp profile of a container runtime (OCI, Docker, Podman)
    Oci,
    /// nsjail's configuration, as text
    Nsjail,
    /// A service of xinetd
    Xinetd,
    /// A unit of systemd
    Systemd,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox learn --out ./hello.toml -- /usr/local/bin/hello\n  \
    spawnbox learn --out /etc/spawnbox/policyd-spf.toml --user policyd-spf 127.0.0.1:7000 -- /usr/bin/policyd-spf\n  \
    spawnbox learn --merge /etc/spawnbox/greylist.toml --connections 3 127.0.0.1:7000\n\n\
    The command is in no sandbox while its calls are watched: do this where nobody else connects.\n\
    Ctrl-C ends it, and writes what was learnt.\n\
    Exit status: 0 written, and under the policy it does the same, unless --no-verify or a signal\n\
    left that out; 1 this host cannot, or nobody connected; 2 usage or policy; 3 written, but it\n\
    does not pass check, or under it the command does not do the same.")]
#[command(group = clap::ArgGroup::new("file").required(true).args(["out", "merge"]))]
pub(in crate::front) struct Learn {
    /// Listen here, as `listen` does, and run the command for each connection [default: standard input is its
    /// connection]
    #[arg(value_name = "ADDR")]
    pub(in crate::front) address: Option<Address>,
    /// Write a new policy, which must not be there yet
    ///
    /// Example: spawnbox learn --out ./hello.toml -- /usr/local/bin/hello
    #[arg(long, help_heading = WRITTEN, value_name = "FILE")]
    pub(in crate::front) out: Option<PathBuf>,
    /// Add what is missing to a policy that is there, and leave the rest as it is
    ///
    /// Example: spawnbox learn --merge ./hello.toml
    #[arg(long, help_heading = WRITTEN, value_name = "FILE")]
    pub(in crate::front) merge: Option<PathBuf>,
    /// As whom the command runs [default: the policy's user; of a new one, who calls, and nobody for root]
    ///
    /// Example: spawnbox learn --out ./hello.toml --user mail -- /usr/local/bin/hello
    #[arg(long, help_heading = WHAT, value_name = "NAME")]
    pub(in crate::front) user: Option<String>,
    /// How many connections are learnt from, one after the other
    ///
    /// Example: spawnbox learn --merge ./hello.toml --connections 3 127.0.0.1:7000
    #[arg(long, help_heading = WHAT, value_name = "N", default_value_t = 1, requires = "address",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(in crate::front) connections: u32,
    /// Do not run it again under the policy
    ///
    /// Example: spawnbox learn --merge ./hello.toml --no-verify
    #[arg(long, help_heading = WRITTEN)]
    pub(in crate::front) no_verify: bool,
    /// The command and its arguments [default: the policy's]
    #[arg(last = true, value_name = "CMD")]
    pub(in crate::front) command: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox trace -- sh -c 'cat /etc/hostname'\n  \
    spawnbox trace --policy ./draft.toml -s limits.time=10s\n  \
    spawnbox trace --policy policyd-spf --connections 1 127.0.0.1:7000\n\n\
    Standard error gets a line when something is denied for the first time, and at the end what\n\
    the policy lacks, ready to be added. What this host does not have either is no denial.\n\
    Exit status: as of run, or of listen where there is an address.")]
pub(in crate::front) struct Trace {
    /// Listen here, as `listen` does, and run the command for each connection [default: standard input is its
    /// connection]
    #[arg(value_name = "ADDR")]
    pub(in crate::front) address: Option<Address>,
    /// How many connections are traced [default: until Ctrl-C]
    ///
    /// Example: spawnbox trace --connections 1 --policy policyd-spf 127.0.0.1:7000
    #[arg(long, help_heading = LISTENING, value_name = "N", requires = "address", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(in crate::front) connections: Option<u32>,
    /// Print the port, or the socket's path, on a line of standard output
    ///
    /// Example: spawnbox trace --print-port 127.0.0.1:0 -- cat
    #[arg(long, help_heading = LISTENING, requires = "address")]
    pub(in crate::front) print_port: bool,
    /// Let the calls be made that the filter denies, to hear of all that come after them: the sandbox is weaker
    ///
    /// For a command that is trusted, where nobody else connects. Files and the network are held as without it.
    ///
    /// Example: spawnbox trace --permissive --policy ./draft.toml
    #[arg(long, help_heading = WHAT)]
    pub(in crate::front) permissive: bool,
    /// Print each denial as a JSON object on a line of its own, and one of all at the end
    ///
    /// Example: spawnbox trace --json -- sh -c 'cat /etc/hostname'
    #[arg(long, help_heading = PRINTED)]
    pub(in crate::front) json: bool,
    /// Write what is denied to this file, which must not be there yet, instead of standard error
    ///
    /// Example: spawnbox trace --out denied.txt -- sh -c 'cat /etc/hostname'
    #[arg(long, help_heading = PRINTED, value_name = "FILE")]
    pub(in crate::front) out: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::front) what: What,
}
