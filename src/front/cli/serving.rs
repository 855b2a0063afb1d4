// SPDX-License-Identifier: Apache-2.0
//! The words that serve: listen, serve and run.

use super::seeing::Seeing;
use super::what::What;
use super::{LISTENING, WHAT};
use crate::policy::address::Address;
use crate::policy::amount::time;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox listen 127.0.0.1:7000 -- sh -c 'echo hello'\n  \
    spawnbox listen '[::1]:10023' --policy greylist\n  \
    spawnbox listen unix:/run/spf.sock,mode=0660,group=postfix --policy policyd-spf\n\n\
    SIGHUP reads the policy again; SIGUSR2 has the program that is installed now take over;\n\
    SIGTERM stops listening and waits for the sessions; a second one ends them.\n\
    Exit status: 0 ended as asked, 1 this host cannot, 2 usage or policy.")]
pub(in crate::front) struct Listen {
    /// Where to listen: HOST:PORT, [HOST]:PORT, unix:PATH[,mode=0660][,user=U][,group=G] or unix:@NAME
    /// [default: where the policy says]
    ///
    /// HOST is an address of this host; 0.0.0.0 and [::] are all of them. With port 0 the kernel chooses one. A UNIX
    /// socket has mode 0600 unless another is given, and is removed at the end; one with a @ has no file.
    #[arg(value_name = "ADDR")]
    pub(in crate::front) addresses: Vec<Address>,
    /// Print each port, or socket path, on a line of standard output
    ///
    /// Example: spawnbox listen --print-port 127.0.0.1:0 -- cat
    #[arg(long, help_heading = LISTENING)]
    pub(in crate::front) print_port: bool,
    /// Most sessions at once for each kind of socket; further clients wait in the kernel's queue
    /// [default: the policy's connection.concurrency, or 1000]
    ///
    /// Example: spawnbox listen --max-sessions 20 127.0.0.1:7000 -- cat
    #[arg(long, help_heading = LISTENING, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(in crate::front) max_sessions: Option<u32>,
    /// How long SIGTERM waits for sessions before it ends them [default: until a second one]
    ///
    /// Example: spawnbox listen --drain-limit 30s 127.0.0.1:7000 -- cat
    #[arg(long, help_heading = LISTENING, value_name = "TIME", value_parser = time)]
    pub(in crate::front) drain_limit: Option<Duration>,
    /// How long after SIGTERM it accepts, while /readyz says that it is not ready, before it drains [default: 0]
    ///
    /// Example: spawnbox listen --metrics 0.0.0.0:9090 --drain-delay 5s 127.0.0.1:7000 -- cat
    #[arg(long, help_heading = LISTENING, value_name = "TIME", value_parser = time)]
    pub(in crate::front) drain_delay: Option<Duration>,
    #[command(flatten)]
    pub(in crate::front) seeing: Seeing,
    #[command(flatten)]
    pub(in crate::front) what: What,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox serve\n  \
    spawnbox serve --drain-limit 30s ./policies\n\n\
    A service has the name of its file. One that is wrong is told with its line, and the others\n\
    are served. SIGHUP reads the directory again; SIGUSR2 has the program that is installed now\n\
    take over; SIGTERM stops listening and waits for the sessions; a second one ends them.\n\
    Exit status: 0 ended as asked, 1 this host cannot, 2 usage, or no policy can be served.")]
pub(in crate::front) struct Serve {
    /// Where the policies are: each file NAME.toml with `listen.addresses` is a service
    #[arg(value_name = "DIR", default_value = "/etc/spawnbox")]
    pub(in crate::front) directory: PathBuf,
    /// Most sessions at once for each service and kind of socket
    /// [default: each policy's connection.concurrency, or 1000]
    ///
    /// Example: spawnbox serve --max-sessions 20
    #[arg(long, help_heading = LISTENING, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(in crate::front) max_sessions: Option<u32>,
    /// How long SIGTERM waits for sessions before it ends them [default: until a second one]
    ///
    /// Example: spawnbox serve --drain-limit 30s
    #[arg(long, help_heading = LISTENING, value_name = "TIME", value_parser = time)]
    pub(in crate::front) drain_limit: Option<Duration>,
    /// How long after SIGTERM it accepts, while /readyz says that it is not ready, before it drains [default: 0]
    ///
    /// Example: spawnbox serve --metrics 0.0.0.0:9090 --drain-delay 5s
    #[arg(long, help_heading = LISTENING, value_name = "TIME", value_parser = time)]
    pub(in crate::front) drain_delay: Option<Duration>,
    #[command(flatten)]
    pub(in crate::front) seeing: Seeing,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox run -- sh -c 'id; ls -l /'\n  \
    echo hello | spawnbox run --policy echo\n  \
    spawnbox run -s limits.time=2s -- sleep 10\n\n\
    Where standard input and output are sockets, as under inetd, standard input is the\n\
    connection. Exit status: the command's own; 2 usage or policy, 124 time limit, 125 the\n\
    sandbox could not be made, 126 the command could not be run, 127 it was not found,\n\
    128+N it died of signal N.")]
pub(in crate::front) struct Run {
    /// Take standard input for the connection, and nothing else: for inetd, and for units with Accept=yes
    ///
    /// Example: spawnbox run --inetd --policy echo
    #[arg(long, help_heading = WHAT)]
    pub(in crate::front) inetd: bool,
    #[command(flatten)]
    pub(in crate::front) what: What,
}
