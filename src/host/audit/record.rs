// SPDX-License-Identifier: Apache-2.0
//! What the kernel's audit log says of Landlock, by security/landlock/audit.c and kernel/audit.c of Linux 6.15 to 7.3:
//! two kinds of records, each one line of fields. Pure. The kernel writes them, but the names in them are a command's:
//! it puts in quotes what is plain, and everything else in hexadecimal, so that no name can end a field.

use std::net::IpAddr;
use std::str::Split;

/// `AUDIT_LANDLOCK_ACCESS` of linux/audit.h: an access was denied.
pub(super) const ACCESS: u16 = 1423;
/// `AUDIT_LANDLOCK_DOMAIN`: what is known of a domain, with its first denial, and when it is gone.
pub(super) const DOMAIN: u16 = 1424;
/// Of `struct nlmsghdr`, see netlink(7).
pub const HEADER: usize = 16;
/// Longer than any list of all blockers there are.
const LONGEST_BLOCKERS: usize = 400;

/// A record of Landlock's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A domain has denied something.
    Denied {
        /// Its number, which no other has until the next boot.
        domain: u64,
        /// What of.
        access: Access,
    },
    /// Who made a domain that has denied something.
    Made {
        /// Its number.
        domain: u64,
        /// The process, in the host's first PID namespace.
        pid: i32,
        /// Its user then, in the host's first user namespace.
        uid: u32,
    },
    /// No process is in that domain any more.
    Gone {
        /// Its number.
        domain: u64,
        /// How much it has denied in all, told or not.
        denials: u64,
    },
}

/// What was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The rights that were lacking, in the kernel's words: `fs.make_reg,fs.refer`.
    pub blockers: String,
    /// To what.
    pub object: Object,
}

/// What an access was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A file, or the directory of a name that is made or removed, below the root directory of the one who asked; or
    /// the name of a UNIX socket that is no file, which begins with a NUL.
    Path(Vec<u8>),
    /// A port, and the address where the kernel tells one.
    Port {
        /// The address.
        address: Option<IpAddr>,
        /// The port, 0 where the kernel was to choose.
        port: u16,
    },
    /// A process and its name.
    Process {
        /// Its number, as the host has it.
        pid: i32,
        /// What it is called.
        name: Vec<u8>,
    },
    /// Nothing that is told.
    Untold,
}

/// Reads a message of the audit log; `None` for one that is not Landlock's, or that no kernel we know would write. Its
/// length is the message's: that in the header is not always right, see kernel/audit.c.
pub fn read(message: &[u8]) -> Option<Record> {
    let (header, text) = message.split_at_checked(HEADER)?;
    let kind = u16::from_ne_bytes([header[4], header[5]]);
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let text = std::str::from_utf8(&text[..end]).ok()?;
    let (_, text) = text.strip_prefix("audit(")?.split_once("): ")?;
    let fields = Fields(text);
    let domain = u64::from_str_radix(fields.value("domain")?, 16).ok()?;
    match (kind, fields.value("status")) {
        (ACCESS, None) => {
            let blockers = fields.value("blockers").filter(|list| is_list(list))?.to_string();
            Some(Record::Denied { domain, access: Access { blockers, object: fields.object() } })
        }
        (DOMAIN, Some("allocated")) => {
            Some(Record::Made { domain, pid: fields.number("pid")?, uid: fields.number("uid")? })
        }
        (DOMAIN, Some("deallocated")) => Some(Record::Gone { domain, denials: fields.number("denials")? }),
        (_, _) => None,
    }
}

/// `fs.read_file,fs.execute`, and nothing that could be taken for something else in a log.
fn is_list(list: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b',');
    (1..=LONGEST_BLOCKERS).contains(&list.len()) && list.bytes().all(is_plain)
}

/// `name=value name=value`: no value has a blank.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// The first one of this name: what the kernel writes by itself stands before what it is told.
    fn value(self, name: &str) -> Option<&'a str> {
        let all: Split<'a, char> = self.0.split(' ');
        all.filter_map(|field| field.split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn number<N: std::str::FromStr>(self, name: &str) -> Option<N> {
        self.value(name)?.parse().ok()
    }

    /// What `audit_log_untrustedstring` and `audit_log_n_hex` write.
    fn bytes(self, name: &str) -> Option<Vec<u8>> {
        let value = self.value(name)?;
        if let Some(plain) = value.strip_prefix('"') {
            return plain.strip_suffix('"').map(|plain| plain.as_bytes().to_vec());
        }
        let (pairs, []) = value.as_bytes().as_chunks::<2>() else { return None };
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        // A sign is no digit.
        pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| value.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    fn object(self) -> Object {
        if let Some(path) = self.bytes("path") {
            return Object::Path(path);
        }
        if let (Some(pid), Some(name)) = (self.number("opid"), self.bytes("ocomm")) {
            return Object::Process { pid, name };
        }
        // Neither is written where it is zero: see `print_ipv4_addr` in security/lsm_audit.c.
        let address = ["daddr", "saddr"].into_iter().find_map(|name| self.number(name));
        let port = ["dest", "src"].into_iter().find_map(|name| self.number(name));
        match (address, port) {
            (None, None) => Object::Untold,
            (address, port) => Object::Port { address, port: port.unwrap_or(0) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, text: &str) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(text.as_bytes());
        message
    }

    fn denied(text: &str) -> Option<Access> {
        let read = read(&message(ACCESS, &format!("audit(1729738800.221:33): domain=1a6fdc679 {text}")));
        read.map(|record| match record {
            Record::Denied { domain: 0x1_a6fd_c679, access } => access,
            other => panic!("{other:?}"),
        })
    }

    fn path(path: &[u8]) -> Object {
        Object::Path(path.to_vec())
    }

    #[test]
    fn what_the_kernels_own_manual_shows_is_read() {
        let access = |blockers: &str, object| Some(Access { blockers: blockers.to_string(), object });
        for (text, expected) in [
            (
                "blockers=fs.make_reg,fs.refer path=\"/usr/local\" dev=\"vda2\" ino=365",
                access("fs.make_reg,fs.refer", path(b"/usr/local")),
            ),
            (
                "blockers=scope.signal opid=1 ocomm=\"systemd\"",
                access("scope.signal", Object::Process { pid: 1, name: b"systemd".to_vec() }),
            ),
            ("blockers=scope.abstract_unix_socket path=0078FF", access("scope.abstract_unix_socket", path(b"\0x\xff"))),
            (
                "blockers=net.connect_tcp daddr=127.0.0.1 dest=25",
                access("net.connect_tcp", Object::Port { address: Some(IpAddr::from([127, 0, 0, 1])), port: 25 }),
            ),
            ("blockers=net.bind_tcp src=8080", access("net.bind_tcp", Object::Port { address: None, port: 8080 })),
            (
                "blockers=net.bind_tcp saddr=::1",
                access("net.bind_tcp", Object::Port { address: Some("::1".parse().unwrap()), port: 0 }),
            ),
            ("blockers=ptrace", access("ptrace", Object::Untold)),
        ] {
            assert_eq!(denied(text), expected, "{text}");
        }
        let made =
            "domain=195ba459b status=allocated mode=enforcing pid=300 uid=65534 exe=\"/root/sandboxer\" comm=\"x\"";
        let told = |text| read(&message(DOMAIN, &format!("audit(0.000:1): {text}")));
        assert_eq!(told(made), Some(Record::Made { domain: 0x1_95ba_459b, pid: 300, uid: 65534 }));
        let gone = Record::Gone { domain: 0x1a, denials: 3 };
        assert_eq!(told("domain=1a status=deallocated denials=3"), Some(gone));
    }

    #[test]
    fn a_name_cannot_end_its_field_or_begin_another() {
        // A file of the name `x" pid=1` is told so.
        let access = denied("blockers=fs.read_file path=2F782220706964 dev=\"vda\" ino=1 path=\"/other\"").unwrap();
        assert_eq!(access.object, path(b"/x\" pid"));
        let made = "audit(0.000:1): domain=1 status=allocated pid=7 uid=0 exe=\"/x\" comm=\"pid=8\" pid=9";
        assert_eq!(read(&message(DOMAIN, made)), Some(Record::Made { domain: 1, pid: 7, uid: 0 }));
    }

    #[test]
    fn what_no_kernel_writes_is_nothing() {
        for text in ["", "blockers=", "blockers=fs.read\u{e9}", "blockers=fs;x path=\"/x\"", "blockers=a\nb", "x"] {
            assert_eq!(denied(text), None, "{text:?}");
        }
        for (text, object) in [("path=\"/x", Object::Untold), ("path=+f", Object::Untold), ("path=abc", Object::Untold)]
        {
            assert_eq!(denied(&format!("blockers=fs.execute {text}")).unwrap().object, object, "{text}");
        }
        let whole = message(DOMAIN, "audit(0.000:1): domain=1a status=deallocated denials=3");
        assert!(read(&whole).is_some());
        assert_eq!(read(&whole[..whole.len() - 1]), None);
        assert_eq!(read(&message(1300, "audit(0.000:1): domain=1a status=deallocated denials=3")), None);
        assert_eq!(read(&message(ACCESS, "audit(0.000:1): domain=1a status=deallocated denials=3")), None);
        for short in [0, 5, HEADER, HEADER + 3] {
            assert_eq!(read(&whole[..short]), None, "{short}");
        }
    }
}
