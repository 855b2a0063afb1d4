// SPDX-License-Identifier: Apache-2.0
//! Where to listen, as the operator writes it. Pure: nothing is resolved or opened.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A socket of a UNIX name is its owner's alone unless more is asked for.
const DEFAULT_MODE: u32 = 0o600;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A UNIX socket.
    Unix(UnixAddress),
}

/// A UNIX socket and who may connect to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnixAddress {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    /// Name or number.
    pub(super) user: Option<String>,
    /// Name or number.
    pub(super) group: Option<String>,
}

/// Why an address is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadAddress {
    #[error(
        "not an address with a port; write 127.0.0.1:7000, [::1]:7000 or unix:/run/x.sock; names are not looked up"
    )]
    Nothing,
    #[error("no path; write unix:/run/x.sock")]
    NoPath,
    #[error("`{0}` is not a mode; write mode=0660")]
    Mode(String),
    #[error("`{0}` is not an option of a UNIX address; there are mode=, user= and group=")]
    Option(String),
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        match text.strip_prefix("unix:") {
            Some(rest) => unix(rest).map(Address::Unix),
            None => text.parse().map(Address::Tcp).map_err(|_| BadAddress::Nothing),
        }
    }
}

fn unix(text: &str) -> Result<UnixAddress, BadAddress> {
    let mut parts = text.split(',');
    let path = parts.next().filter(|path| !path.is_empty()).ok_or(BadAddress::NoPath)?;
    let mut address = UnixAddress { path: path.into(), mode: DEFAULT_MODE, user: None, group: None };
    for part in parts {
        match part.split_once('=') {
            Some(("mode", mode)) => address.mode = parse_mode(mode)?,
            Some(("user", user)) if !user.is_empty() => address.user = Some(user.to_string()),
            Some(("group", group)) if !group.is_empty() => address.group = Some(group.to_string()),
            Some(_) | None => return Err(BadAddress::Option(part.to_string())),
        }
    }
    Ok(address)
}

fn parse_mode(text: &str) -> Result<u32, BadAddress> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && !text.starts_with('+'));
    mode.ok_or_else(|| BadAddress::Mode(text.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        let nothing = "not an address with a port; write 127.0.0.1:7000, [::1]:7000 or unix:/run/x.sock; \
                       names are not looked up";
        let table = [
            ("", nothing),
            ("7000", nothing),
            ("127.0.0.1", nothing),
            ("localhost:7000", nothing),
            ("::1:70000", nothing),
            ("unix:", "no path; write unix:/run/x.sock"),
            ("unix:/x,mode=888", "`888` is not a mode; write mode=0660"),
            ("unix:/x,mode=+7", "`+7` is not a mode; write mode=0660"),
            ("unix:/x,mode=4755", "`4755` is not a mode; write mode=0660"),
            ("unix:/x,owner=u", "`owner=u` is not an option of a UNIX address; there are mode=, user= and group="),
            ("unix:/x,user=", "`user=` is not an option of a UNIX address; there are mode=, user= and group="),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Address>().unwrap_err().to_string(), error, "{text}");
        }
    }

    #[test]
    fn an_address_is_read_as_written() {
        let unix = |path: &str, mode, user: Option<&str>, group: Option<&str>| {
            let own = |name: &str| name.to_string();
            Address::Unix(UnixAddress { path: path.into(), mode, user: user.map(own), group: group.map(own) })
        };
        let table = [
            ("127.0.0.1:0", Address::Tcp("127.0.0.1:0".parse().unwrap())),
            ("[::]:25", Address::Tcp("[::]:25".parse().unwrap())),
            ("unix:/run/a", unix("/run/a", 0o600, None, None)),
            ("unix:a,mode=0660,user=0,group=mail", unix("a", 0o660, Some("0"), Some("mail"))),
        ];
        for (text, address) in table {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
    }
}
