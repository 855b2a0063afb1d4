// SPDX-License-Identifier: Apache-2.0
//! How what is served is seen, and ordered about: status, kill, pause and resume, and the options of servers for it.

use super::{PRINTED, SEEN};
use crate::log::SOCKET;
use crate::policy::address::{Address, UnixAddress};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// For words that serve.
#[derive(Debug, Default, Args)]
pub(in crate::front) struct Seeing {
    /// Where status, kill, pause and resume ask: PATH[,mode=0660][,group=G], or none
    /// [default: /run/spawnbox/control of serve as root, else none]
    ///
    /// Root and the server's own user may ask. With a group and mode 0660 its members may too, and look only.
    /// Example: spawnbox serve --control /run/spawnbox/control,mode=0660,group=adm
    #[arg(long, help_heading = SEEN, value_name = "PATH", value_parser = at)]
    pub(in crate::front) control: Option<At>,
    /// Where Prometheus reads /metrics, and others whether it lives and is ready: HOST:PORT or unix:PATH
    /// [default: nowhere]
    ///
    /// There are /metrics, /livez and /readyz, for whoever can connect. A UNIX path can have mode=, user= and group=.
    /// Example: spawnbox serve --metrics 127.0.0.1:9184
    #[arg(long, help_heading = SEEN, value_name = "ADDR")]
    pub(in crate::front) metrics: Option<Address>,
    /// Where the log goes: stderr, syslog, journal, or journal:SOCKET [default: stderr]
    ///
    /// The journal keeps what a line is about, for journalctl SPAWNBOX_OUTCOME=time-limit, see spawnbox(8).
    /// Example: spawnbox serve --log-to journal
    #[arg(long, help_heading = SEEN, value_name = "WHERE", value_parser = log_to)]
    pub(in crate::front) log_to: Option<LogTo>,
    /// How a line on standard error looks: text, or json for one object a line [default: text]
    ///
    /// Example: spawnbox serve --log-format json
    #[arg(long, help_heading = SEEN, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub(in crate::front) log_format: Option<LogFormat>,
}

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::front) enum LogTo {
    /// Standard error.
    Stderr,
    /// syslogd(8), or whatever has /dev/log.
    Syslog,
    /// journald, at this socket.
    Journal(PathBuf),
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::front) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn log_to(text: &str) -> Result<LogTo, String> {
    match (text, text.strip_prefix("journal:")) {
        ("stderr", _) => Ok(LogTo::Stderr),
        ("syslog", _) => Ok(LogTo::Syslog),
        ("journal", _) => Ok(LogTo::Journal(SOCKET.into())),
        (_, Some(path)) if path.starts_with('/') => Ok(LogTo::Journal(path.into())),
        (_, _) => Err("write stderr, syslog, journal or journal:/path/of/its/socket".to_string()),
    }
}

/// Where a control socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::front) enum At {
    /// There is none.
    Nowhere,
    /// There.
    Path(UnixAddress),
}

/// `none`, or a path with options as that of a UNIX address.
fn at(text: &str) -> Result<At, String> {
    if text == "none" {
        return Ok(At::Nowhere);
    }
    match format!("unix:{text}").parse() {
        Ok(Address::Unix(address)) if address.path.is_absolute() && address.user.is_none() => Ok(At::Path(address)),
        Ok(Address::Unix(UnixAddress { user: Some(_), .. })) => {
            Err("the socket is the server's own: `user=` cannot be given".to_string())
        }
        Ok(_) => Err("a path starts with `/`; write /run/spawnbox/control, or none".to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox status\n  \
    spawnbox status --watch\n  \
    spawnbox status --json | jq '.services[] | {service, state, sessions}'\n\n\
    Exit status: 0, or 1 where there is nobody who answers.")]
pub(in crate::front) struct Status {
    /// Look again every second, until SIGINT
    ///
    /// Example: spawnbox status --watch
    #[arg(long, help_heading = PRINTED)]
    pub(in crate::front) watch: bool,
    /// Print everything as one JSON object; with --watch, one on each line
    ///
    /// Example: spawnbox status --json
    #[arg(long, help_heading = PRINTED)]
    pub(in crate::front) json: bool,
    /// Print every session, and not only the first hundred
    ///
    /// Example: spawnbox status --all | grep 192.0.2.7
    #[arg(long, help_heading = PRINTED)]
    pub(in crate::front) all: bool,
    #[command(flatten)]
    pub(in crate::front) supervisor: Asked,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox kill 17\n\n\
    The whole session ends, with all that its command has started. Exit status: 0 it is being ended,\n\
    1 there is no such session, or nobody who answers.")]
pub(in crate::front) struct Kill {
    /// The session's number, as status and the log name it
    #[arg(value_name = "ID")]
    pub(in crate::front) session: u64,
    #[command(flatten)]
    pub(in crate::front) supervisor: Asked,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox pause greylist\n  \
    spawnbox resume greylist\n\n\
    Clients wait in the kernel's queue meanwhile; sessions go on, and a reload changes nothing about it.\n\
    Exit status: 0 done, 1 there is no such service, or nobody who answers.")]
pub(in crate::front) struct Named {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(in crate::front) service: String,
    #[command(flatten)]
    pub(in crate::front) supervisor: Asked,
}

/// Whom it is about.
#[derive(Debug, Args)]
pub(in crate::front) struct Asked {
    /// The control socket of the server that is asked [default: /run/spawnbox/control]
    ///
    /// Example: spawnbox status --control /run/filter/control
    #[arg(long, help_heading = SEEN, value_name = "PATH")]
    pub(in crate::front) control: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_goes_to_one_of_three() {
        assert_eq!(log_to("journal"), Ok(LogTo::Journal(SOCKET.into())));
        assert_eq!(log_to("journal:/run/x"), Ok(LogTo::Journal("/run/x".into())));
        for text in ["", "file", "journal:", "journal:x"] {
            assert!(log_to(text).unwrap_err().contains("write stderr, syslog, journal"), "{text}");
        }
    }

    #[test]
    fn a_control_socket_is_a_path_of_the_server_s_own_or_none() {
        assert_eq!(at("none"), Ok(At::Nowhere));
        let Ok(At::Path(address)) = at("/run/x/control,mode=0660,group=adm") else { panic!("not read") };
        assert_eq!((address.mode, address.group.as_deref()), (0o660, Some("adm")));
        for (text, why) in [
            ("control", "a path starts with `/`"),
            ("@control", "a path starts with `/`"),
            ("/run/control,user=x", "`user=` cannot be given"),
            ("/run/control,mode=9", "`9` is not a mode"),
        ] {
            assert!(at(text).unwrap_err().contains(why), "{text}");
        }
    }
}
