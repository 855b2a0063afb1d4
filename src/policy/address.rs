// SPDX-License-Identifier: Apache-2.0
//! Where to listen, as the operator writes it, in a policy and on the command line. Pure: nothing is resolved or
//! opened.

use crate::host::facts::Names;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A socket of a UNIX name is its owner's alone unless more is asked for.
pub const DEFAULT_MODE: u32 = 0o600;

/// The longest path of a UNIX socket, and one byte more than the longest abstract name: see unix(7).
pub(super) const LONGEST_PATH: usize = 107;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A UNIX socket with a name in the file system.
    Unix(UnixAddress),
    /// A UNIX socket whose name is in the network namespace alone.
    Abstract(String),
}

/// A UNIX socket and who may connect to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixAddress {
    /// Its name.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// Name or number.
    pub user: Option<String>,
    /// Name or number.
    pub group: Option<String>,
}

/// Why an address is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It is neither an address with a port nor a name.
    #[error(
        "not an address with a port; write 127.0.0.1:7000, [::1]:7000 or unix:/run/x.sock; names are not looked up"
    )]
    Nothing,
    /// There is nothing behind `unix:`.
    #[error("no path; write unix:/run/x.sock")]
    NoPath,
    /// The longest is 107 bytes.
    #[error("the name of a UNIX socket has at most 107 bytes")]
    TooLong,
    /// It has no file.
    #[error("an abstract name has no mode and no owner: everybody in the network namespace may connect to it")]
    Abstract,
    /// It is not octal, or too large.
    #[error("`{0}` is not a mode; write mode=0660")]
    Mode(String),
    /// Another word.
    #[error("`{0}` is not an option of a UNIX address; there are mode=, user= and group=")]
    Option(String),
}

impl Address {
    /// Adds the accounts that it names, for whoever looks them up.
    pub fn names(&self, names: &mut Names) {
        if let Address::Unix(UnixAddress { user, group, .. }) = self {
            names.users.extend(user.clone());
            names.groups.extend(group.clone());
        }
    }

    /// Whether both cannot be listened on at once, whatever their modes and owners.
    pub fn is_same_place(&self, other: &Address) -> bool {
        match (self, other) {
            // The kernel chooses another port for each.
            (Address::Tcp(one), Address::Tcp(other)) => one == other && one.port() != 0,
            (Address::Unix(one), Address::Unix(other)) => one.path == other.path,
            (Address::Abstract(one), Address::Abstract(other)) => one == other,
            (Address::Tcp(_) | Address::Unix(_) | Address::Abstract(_), _) => false,
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        match text.strip_prefix("unix:") {
            Some(rest) => unix(rest),
            None => text.parse().map(Address::Tcp).map_err(|_| BadAddress::Nothing),
        }
    }
}

fn unix(text: &str) -> Result<Address, BadAddress> {
    let mut parts = text.split(',');
    let path = parts.next().filter(|path| !path.is_empty()).ok_or(BadAddress::NoPath)?;
    if path.len() > LONGEST_PATH {
        return Err(BadAddress::TooLong);
    }
    if let Some(name) = path.strip_prefix('@') {
        return match (name.is_empty(), parts.next()) {
            (true, _) => Err(BadAddress::NoPath),
            (false, Some(_)) => Err(BadAddress::Abstract),
            (false, None) => Ok(Address::Abstract(name.to_string())),
        };
    }
    let mut address = UnixAddress { path: path.into(), mode: DEFAULT_MODE, user: None, group: None };
    for part in parts {
        match part.split_once('=') {
            Some(("mode", mode)) => address.mode = parse_mode(mode)?,
            Some(("user", user)) if !user.is_empty() => address.user = Some(user.to_string()),
            Some(("group", group)) if !group.is_empty() => address.group = Some(group.to_string()),
            Some(_) | None => return Err(BadAddress::Option(part.to_string())),
        }
    }
    Ok(Address::Unix(address))
}

/// As it is written, with the mode only where it is not what it is without one.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Abstract(name) => write!(f, "unix:@{name}"),
            Address::Unix(UnixAddress { path, mode, user, group }) => {
                write!(f, "unix:{}", path.display())?;
                if *mode != DEFAULT_MODE {
                    write!(f, ",mode={mode:04o}")?;
                }
                let mut option = |key, value: &Option<String>| match value {
                    Some(value) => write!(f, ",{key}={value}"),
                    None => Ok(()),
                };
                option("user", user)?;
                option("group", group)
            }
        }
    }
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
            ("unix:@", "no path; write unix:/run/x.sock"),
            (
                "unix:@x,mode=0660",
                "an abstract name has no mode and no owner: everybody in the network namespace may connect to it",
            ),
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
    fn the_longest_name_is_the_kernels() {
        let name = |length| format!("unix:{}", "x".repeat(length)).parse::<Address>();
        assert!(name(107).is_ok());
        assert_eq!(name(108), Err(BadAddress::TooLong));
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
            ("unix:@a", Address::Abstract("a".into())),
            ("unix:a,mode=0660,user=0,group=mail", unix("a", 0o660, Some("0"), Some("mail"))),
        ];
        for (text, address) in table {
            assert_eq!(address.to_string(), text);
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
    }
}
