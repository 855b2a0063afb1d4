// SPDX-License-Identifier: Apache-2.0
//! What names mean below another root directory: paths, and the accounts of its own passwd(5) and group(5).
//! Every lookup is the kernel's, in that root (`RESOLVE_IN_ROOT` of openat2(2)), so that no link leads out of it.

use super::HostError;
use super::facts::{Account, Accounts, PathFact};
use super::paths::unreadable;
use crate::sys::errno;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A file of accounts is not read beyond this.
const MOST_BYTES: u64 = 64 << 20;

/// A root directory has some twenty names; of one with more than this the others are not shown.
const MOST_NAMES: usize = 1024;

/// How often a path is looked up where others change mounts or names meanwhile: see openat2(2), EAGAIN.
const ATTEMPTS: usize = 1000;

/// Another root directory.
#[derive(Debug)]
pub struct Elsewhere {
    directory: OwnedFd,
    path: PathBuf,
}

impl Elsewhere {
    /// Opens it.
    pub fn open(path: &Path) -> Result<Elsewhere, HostError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, path, flags, Mode::empty()).and_then(|directory| {
            let path = name_of(&directory)?;
            Ok(Elsewhere { directory, path })
        });
        opened.map_err(|error| HostError::new(format!("open {}", path.display()), errno(error)))
    }

    /// Its path on this host, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What paths are there.
    pub fn look_at(&self, paths: &[PathBuf]) -> Result<BTreeMap<PathBuf, PathFact>, HostError> {
        let fact = |path: &PathBuf| {
            self.found(path).or_else(|error| match error {
                rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR => Ok(PathFact::Missing),
                other => unreadable(path, errno(other)),
            })
        };
        paths.iter().map(|path| Ok((path.clone(), fact(path)?))).collect()
    }

    /// What it has at the top, as absolute paths there.
    pub(super) fn top(&self) -> Result<Vec<PathBuf>, HostError> {
        let refused = |error| HostError::new(format!("list {}", self.path.display()), errno(error));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = openat(&self.directory, ".", flags, Mode::empty()).and_then(rustix::fs::Dir::new);
        let names = listed.map_err(refused)?.take(MOST_NAMES).map(|entry| {
            let name = entry.map_err(refused)?.file_name().to_bytes().to_vec();
            Ok(Path::new("/").join(std::ffi::OsString::from_vec(name)))
        });
        let names: Vec<PathBuf> = names.collect::<Result<_, _>>()?;
        Ok(names.into_iter().filter(|path| path.file_name().is_some() && !path.ends_with(".")).collect())
    }

    fn found(&self, path: &Path) -> rustix::io::Result<PathFact> {
        let found = self.open_in(path, OFlags::PATH)?;
        let whole = name_of(&found)?;
        let below = whole.strip_prefix(&self.path).map_err(|_| rustix::io::Errno::XDEV)?;
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
        Ok(PathFact::Found {
            resolved: Path::new("/").join(below),
            directory: kind == rustix::fs::FileType::Directory,
            link: self.link(path),
        })
    }

    /// What the last component says, where it is a symbolic link.
    fn link(&self, path: &Path) -> Option<PathBuf> {
        let parent = self.open_in(path.parent()?, OFlags::PATH).ok()?;
        let text = readlinkat(parent, path.file_name()?, Vec::new()).ok()?;
        Some(std::ffi::OsString::from_vec(text.into_bytes()).into())
    }

    fn open_in(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let open = || openat2(&self.directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        // EAGAIN: something was mounted or renamed somewhere on this host meanwhile, and a `..` is not to be trusted.
        let mut opened = open();
        for _ in 1..ATTEMPTS {
            if !matches!(opened, Err(rustix::io::Errno::AGAIN)) {
                break;
            }
            opened = open();
        }
        opened
    }

    /// The accounts with these names. Names only; what is not there is a fact.
    pub fn accounts(&self, users: &[String], groups: &[String]) -> Accounts {
        let user = |name: &String| (name.clone(), self.user(name));
        let group = |name: &String| (name.clone(), self.group(name));
        Accounts {
            users: users.iter().map(user).collect(),
            groups: groups.iter().map(group).collect(),
            occupied: Vec::new(),
        }
    }

    /// The user with this name.
    pub fn user(&self, name: &str) -> Option<Account> {
        self.lines("etc/passwd").lines().find_map(|line| user(line, name))
    }

    /// The id of the group with this name.
    pub fn group(&self, name: &str) -> Option<u32> {
        self.lines("etc/group").lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
        })
    }

    /// A file's text; of one that cannot be read, nothing, as for getpwnam(3).
    fn lines(&self, path: &str) -> String {
        let mut bytes = Vec::new();
        // Without NONBLOCK a pipe of that name would hold us.
        if let Ok(file) = self.open_in(Path::new(path), OFlags::RDONLY | OFlags::NONBLOCK) {
            let _ = File::from(file).take(MOST_BYTES).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

pub(super) fn user(line: &str, name: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[first, _, uid, gid, ..] = &fields[..] else { return None };
    let number = |text: &str| text.parse().ok();
    (first == name).then(|| Some(Account { name: name.to_string(), uid: number(uid)?, gid: number(gid)? })).flatten()
}

/// The path of what is open, see proc_pid_fd(5).
fn name_of(open: &OwnedFd) -> rustix::io::Result<PathBuf> {
    let text = readlinkat(CWD, format!("/proc/self/fd/{}", open.as_raw_fd()), Vec::new())?;
    Ok(std::ffi::OsString::from_vec(text.into_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Another root, with one of each.
    fn elsewhere(name: &str) -> (PathBuf, Elsewhere) {
        let base = std::env::temp_dir().join(format!("spawnbox-elsewhere-{name}-{}", std::process::id()));
        fs::create_dir_all(base.join("etc")).unwrap();
        fs::write(base.join("etc/passwd"), "broken\nguest:x:4242:77::/:/bin/false\nguest:x:1:1::/:\n").unwrap();
        fs::write(base.join("etc/group"), "mail:x:8:\nodd:x\n").unwrap();
        symlink("/etc/passwd", base.join("out")).unwrap();
        symlink("../../../../etc", base.join("up")).unwrap();
        symlink("/etc/shadow", base.join("dangling")).unwrap();
        let elsewhere = Elsewhere::open(&base).unwrap();
        (base, elsewhere)
    }

    #[test]
    fn no_link_leads_out() {
        let (base, elsewhere) = elsewhere("links");
        let found = |resolved: &str, directory, link: Option<&str>| PathFact::Found {
            resolved: resolved.into(),
            directory,
            link: link.map(PathBuf::from),
        };
        let cases = [
            ("/etc/shadow", PathFact::Missing),
            ("/dangling", PathFact::Missing),
            ("/etc/passwd/below", PathFact::Missing),
            ("/etc", found("/etc", true, None)),
            ("/out", found("/etc/passwd", false, Some("/etc/passwd"))),
            ("/up", found("/etc", true, Some("../../../../etc"))),
            ("/../../etc/passwd", found("/etc/passwd", false, None)),
        ];
        let seen = elsewhere.look_at(&cases.clone().map(|(path, _)| PathBuf::from(path))).unwrap();
        fs::remove_dir_all(base).unwrap();
        assert_eq!(seen, cases.map(|(path, fact)| (PathBuf::from(path), fact)).into());
    }

    #[test]
    fn accounts_are_those_of_its_own_files() {
        let (base, elsewhere) = elsewhere("accounts");
        let names = ["root", "guest", "broken", ""].map(str::to_string);
        let accounts = elsewhere.accounts(&names, &["mail", "odd", "root"].map(str::to_string));
        fs::remove_dir_all(base).unwrap();
        let guest = Some(Account { name: "guest".into(), uid: 4242, gid: 77 });
        let [root, guest_name, broken, empty] = names;
        assert_eq!(accounts.users, [(root, None), (guest_name, guest), (broken, None), (empty, None)].into());
        let groups = [("mail", Some(8)), ("odd", None), ("root", None)];
        assert_eq!(accounts.groups, groups.map(|(name, gid)| (name.to_string(), gid)).into());
    }
}
