// SPDX-License-Identifier: Apache-2.0
//! Opens a policy file that no one but root and the caller could have written.
//! Follows every symbolic link itself, component by component, and looks at each directory on the way; never asks
//! the kernel for a path a second time, so what was looked at is what is read.

use super::diagnose::Mistake;
use rustix::fs::{FileType, Mode, OFlags, Stat, StatVfsMountFlags};
use rustix::fs::{fstat, fstatvfs, openat, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// As many as the kernel follows (`MAXSYMLINKS`, see path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Why a file is not opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The file, directory or link that is at fault.
    pub(super) path: PathBuf,
    /// What is wrong with it.
    pub(super) reason: Reason,
    /// It is the text of a symbolic link that leads there, not the path that was asked for.
    pub(super) linked: bool,
}

/// What is wrong with a file or a directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is not there.
    Missing,
    /// The kernel refused.
    Refused(Errno),
    /// It belongs to this user, neither root nor the caller.
    Owner(u32),
    /// Its group or others may write to it.
    Writable,
    /// It is a directory in which its group or others may make and replace names.
    WritableDirectory,
    /// Something else stands where a directory must be.
    NotADirectory,
    /// It is no regular file.
    NotAFile,
    /// Links that lead on without end.
    Links,
    /// It was replaced between two looks.
    Replaced,
}

/// What a component of a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A regular file.
    File,
    /// A device, a pipe, a socket.
    Other,
}

/// What a component of a path looks like.
#[derive(Debug, Clone, Copy)]
struct Look {
    sort: Sort,
    owner: u32,
    mode: u32,
    read_only: bool,
}

/// A component that is still to be entered.
struct Name {
    text: OsString,
    /// It comes from a symbolic link.
    linked: bool,
}

/// The directories from the root to where the walk stands, each open.
struct Walk {
    stack: Vec<(OwnedFd, PathBuf)>,
    ahead: VecDeque<Name>,
    links: usize,
    caller: u32,
}

/// Opens the regular file at `path`, which is absolute, on behalf of the user `caller`.
pub(super) fn open(path: &Path, caller: u32) -> Result<File, Fault> {
    let mut walk = Walk::start(path, caller)?;
    while let Some(name) = walk.ahead.pop_front() {
        if let Some(file) = walk.enter(&name)? {
            return Ok(file);
        }
    }
    Err(fault(walk.here(), Reason::NotAFile))
}

impl Walk {
    fn start(path: &Path, caller: u32) -> Result<Self, Fault> {
        let mut walk = Walk { stack: Vec::new(), ahead: VecDeque::new(), links: 0, caller };
        let root = PathBuf::from("/");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&root, flags, Mode::empty());
        let fd = opened.map_err(|errno| fault(&root, Reason::Refused(errno)))?;
        walk.look(&fd, &root)?;
        walk.stack.push((fd, root));
        walk.queue(path, false);
        Ok(walk)
    }

    /// Takes one component; the file, if that is where the path ends.
    fn enter(&mut self, Name { text: name, linked }: &Name) -> Result<Option<File>, Fault> {
        if name == ".." {
            // The root is its own parent. Directories on the stack were looked at when they were entered.
            if self.stack.len() > 1 {
                self.stack.pop();
            }
            return Ok(None);
        }
        let path = self.here().join(name);
        let fd = self.open_here(name, OFlags::PATH).map_err(|fault| Fault { linked: *linked, ..fault })?;
        let (stat, look) = self.look(&fd, &path)?;
        match look.sort {
            Sort::Link => self.follow(&fd, &path).map(|()| None),
            Sort::Directory => {
                self.stack.push((fd, path));
                Ok(None)
            }
            Sort::File | Sort::Other if !self.ahead.is_empty() => Err(fault(&path, Reason::NotADirectory)),
            Sort::Other => Err(fault(&path, Reason::NotAFile)),
            Sort::File => self.read_from(name, &path, &stat).map(Some),
        }
    }

    fn follow(&mut self, link: &OwnedFd, path: &Path) -> Result<(), Fault> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(fault(path, Reason::Links));
        }
        // An empty name reads the link that the descriptor stands for, see readlinkat(2).
        let text = readlinkat(link, c"", Vec::new()).map_err(|errno| fault(path, Reason::Refused(errno)))?;
        let target = PathBuf::from(OsString::from_vec(text.into_bytes()));
        if target.is_absolute() {
            self.stack.truncate(1);
        }
        self.queue(&target, true);
        Ok(())
    }

    /// Opens the file for reading and makes sure that it is the one that was looked at.
    fn read_from(&self, name: &OsStr, path: &Path, seen: &Stat) -> Result<File, Fault> {
        // Without NONBLOCK, a pipe that has just taken the file's place would hold us.
        let fd = self.open_here(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let (stat, _) = self.look(&fd, path)?;
        match (stat.st_dev, stat.st_ino) == (seen.st_dev, seen.st_ino) {
            true => Ok(File::from(fd)),
            false => Err(fault(path, Reason::Replaced)),
        }
    }

    fn open_here(&self, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Fault> {
        let directory = &self.stack[self.stack.len() - 1].0;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(directory, name, flags, Mode::empty()).map_err(|errno| {
            let reason = if errno == Errno::NOENT { Reason::Missing } else { Reason::Refused(errno) };
            fault(&self.here().join(name), reason)
        })
    }

    fn look(&self, fd: &OwnedFd, path: &Path) -> Result<(Stat, Look), Fault> {
        let refused = |errno| fault(path, Reason::Refused(errno));
        let stat = fstat(fd).map_err(refused)?;
        let mount = fstatvfs(fd).map_err(refused)?;
        let sort = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Sort::Directory,
            FileType::Symlink => Sort::Link,
            FileType::RegularFile => Sort::File,
            _ => Sort::Other,
        };
        let read_only = mount.f_flag.contains(StatVfsMountFlags::RDONLY);
        let look = Look { sort, owner: stat.st_uid, mode: stat.st_mode, read_only };
        judge(look, self.caller).map_err(|reason| fault(path, reason))?;
        Ok((stat, look))
    }

    fn queue(&mut self, path: &Path, linked: bool) {
        for component in path.components().rev() {
            match component {
                Component::Normal(_) | Component::ParentDir => {
                    self.ahead.push_front(Name { text: component.as_os_str().to_owned(), linked });
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    fn here(&self) -> &Path {
        self.stack.last().map_or(Path::new("/"), |(_, path)| path)
    }
}

fn fault(path: &Path, reason: Reason) -> Fault {
    Fault { path: path.to_owned(), reason, linked: false }
}

/// Whether someone other than root and the caller could have put this here, or can change it.
fn judge(look: Look, caller: u32) -> Result<(), Reason> {
    if look.owner != 0 && look.owner != caller {
        return Err(Reason::Owner(look.owner));
    }
    // What is mounted read-only is written by no one from here; what can be written elsewhere is that place's matter.
    // A link has no permissions of its own: its directory's count. An ACL shows in the group's bits, see acl(5), and
    // a group of the caller's own is still a group that others can be added to.
    if look.mode & 0o022 == 0 || look.read_only || look.sort == Sort::Link {
        return Ok(());
    }
    // A sticky directory such as /tmp is no exception: others cannot remove what is there, but they can be there first.
    match look.sort {
        Sort::Directory => Err(Reason::WritableDirectory),
        Sort::Link | Sort::File | Sort::Other => Err(Reason::Writable),
    }
}

impl Fault {
    /// Says it to the operator, who asked for `wanted`.
    pub(super) fn mistake(&self, wanted: &Path) -> Mistake {
        let path = self.path.display();
        let (why, help) = match &self.reason {
            Reason::Missing => ("does not exist".to_owned(), None),
            Reason::Refused(errno) => (format!("cannot be opened: {}", std::io::Error::from(*errno)), None),
            Reason::Owner(uid) => {
                let why = format!("belongs to user {uid}, who could change the policy");
                (why, Some(format!("`chown root {path}`, or keep the policy in a directory of root's")))
            }
            Reason::Writable => {
                ("can be written by others than its owner".to_owned(), Some(format!("`chmod go-w {path}`")))
            }
            Reason::WritableDirectory => {
                let why = "is a directory that others than its owner can write".to_owned();
                (why, Some(format!("move the policy to another directory, or `chmod go-w {path}`")))
            }
            Reason::NotADirectory => ("is not a directory".to_owned(), None),
            Reason::NotAFile => ("is not a regular file".to_owned(), None),
            Reason::Links => (format!("is one of more than {MOST_LINKS} symbolic links"), None),
            Reason::Replaced => ("was replaced while it was opened".to_owned(), Some("try again".to_owned())),
        };
        let what = match wanted == self.path {
            true => "it".to_owned(),
            false => path.to_string(),
        };
        let mistake = Mistake::new(format!("cannot use the policy file {}: {what} {why}", wanted.display()));
        help.into_iter().fold(mistake, Mistake::help)
    }
}

/// Where tests can make files that are trusted: not in /tmp, which anyone may write.
#[cfg(test)]
pub(crate) fn scenes() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    match rustix::process::geteuid().is_root() {
        true => PathBuf::from("/run"),
        false => tests.parent().unwrap().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::atomic::{AtomicU32, Ordering};

    const CALLER: u32 = 1000;

    /// A directory of this test's own that only its owner can write.
    struct Scene(PathBuf);

    impl Scene {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("spawnbox-trust-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = scenes().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
            Scene(path)
        }

        fn directory(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }

        fn file(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, name).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }

        fn link(&self, name: &str, target: impl AsRef<Path>) -> PathBuf {
            let path = self.0.join(name);
            symlink(target, &path).unwrap();
            path
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn open_as_caller(path: &Path) -> Result<String, Fault> {
        let mut text = String::new();
        open(path, rustix::process::geteuid().as_raw())?.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    fn refused(path: &Path, at: &Path, reason: Reason) {
        let fault = open_as_caller(path).unwrap_err();
        assert_eq!((fault.path.as_path(), fault.reason), (at, reason), "{}", path.display());
    }

    #[test]
    fn who_could_have_written_it_decides() {
        use Sort::{Directory, File, Link};
        for (sort, owner, mode, read_only, expected) in [
            (File, 0, 0o644, false, Ok(())),
            (File, CALLER, 0o600, false, Ok(())),
            (File, 1001, 0o600, false, Err(Reason::Owner(1001))),
            (File, 1001, 0o600, true, Err(Reason::Owner(1001))),
            (File, 0, 0o664, false, Err(Reason::Writable)),
            (File, CALLER, 0o602, false, Err(Reason::Writable)),
            (File, 0, 0o1666, false, Err(Reason::Writable)),
            (File, 0, 0o666, true, Ok(())),
            (Directory, 0, 0o755, false, Ok(())),
            (Directory, 1001, 0o755, false, Err(Reason::Owner(1001))),
            (Directory, 0, 0o775, false, Err(Reason::WritableDirectory)),
            (Directory, CALLER, 0o777, false, Err(Reason::WritableDirectory)),
            (Directory, 0, 0o777, true, Ok(())),
            (Directory, 0, 0o1777, false, Err(Reason::WritableDirectory)),
            (Directory, 0, 0o1777, true, Ok(())),
            (Directory, 1001, 0o1777, false, Err(Reason::Owner(1001))),
            (Link, 0, 0o777, false, Ok(())),
            (Link, 1001, 0o777, false, Err(Reason::Owner(1001))),
        ] {
            let look = Look { sort, owner, mode, read_only };
            assert_eq!(judge(look, CALLER), expected, "owner {owner} mode {mode:o} read-only {read_only}");
        }
    }

    #[test]
    fn a_file_or_directory_that_others_can_write_is_refused() {
        let scene = Scene::new();
        let file = scene.file("file", 0o664);
        refused(&file, &file, Reason::Writable);
        let directory = scene.directory("open", 0o775);
        scene.file("open/file", 0o644);
        refused(&directory.join("file"), &directory, Reason::WritableDirectory);
    }

    #[test]
    fn a_directory_behind_a_link_is_looked_at() {
        let scene = Scene::new();
        let open = scene.directory("open", 0o777);
        scene.file("open/file", 0o644);
        refused(&scene.link("link", "open/file"), &open, Reason::WritableDirectory);
        refused(&scene.link("link to directory", &open).join("file"), &open, Reason::WritableDirectory);
        // The way back out of it was looked at on the way in.
        scene.file("file", 0o644);
        refused(&scene.link("through", "open/../file"), &open, Reason::WritableDirectory);
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let scene = Scene::new();
        refused(&scene.0, &scene.0, Reason::NotAFile);
        refused(Path::new("/"), Path::new("/"), Reason::NotAFile);
        let file = scene.file("file", 0o644);
        refused(&file.join("x"), &file, Reason::NotADirectory);
        let pipe = scene.0.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        refused(&pipe, &pipe, Reason::NotAFile);
    }

    #[test]
    fn links_without_end_are_refused() {
        let scene = Scene::new();
        let link = scene.link("link", "link");
        refused(&link, &link, Reason::Links);
    }

    #[test]
    fn a_missing_file_says_whether_a_link_wanted_it() {
        let scene = Scene::new();
        let missing = scene.0.join("missing");
        refused(&missing, &missing, Reason::Missing);
        assert!(!open_as_caller(&missing).unwrap_err().linked);
        let dangling = open_as_caller(&scene.link("dangling", "missing")).unwrap_err();
        assert!(dangling.linked && dangling.reason == Reason::Missing);
        // A directory may be a link; a name that is not in it is only missing.
        scene.directory("directory", 0o755);
        let behind = open_as_caller(&scene.link("link", "directory").join("missing")).unwrap_err();
        assert!(!behind.linked && behind.reason == Reason::Missing);
    }

    #[test]
    fn a_sticky_directory_is_refused_too() {
        let scene = Scene::new();
        let sticky = scene.directory("sticky", 0o1777);
        refused(&scene.file("sticky/file", 0o644), &sticky, Reason::WritableDirectory);
    }

    #[test]
    fn a_file_of_the_caller_is_read_through_links() {
        let scene = Scene::new();
        let own = scene.directory("own", 0o755);
        let file = scene.file("own/file", 0o644);
        assert_eq!(open_as_caller(&file).unwrap(), "own/file");
        scene.link("a", &own);
        scene.link("b", "a");
        assert_eq!(open_as_caller(&scene.0.join("b/../b/./file")).unwrap(), "own/file");
        assert_eq!(open_as_caller(&scene.link("c", "b/file")).unwrap(), "own/file");
        assert_eq!(open_as_caller(&scene.link("d", "../../../../../../../../..").join(&file)).unwrap(), "own/file");
    }

    #[test]
    fn the_operator_reads_what_is_wrong_and_what_to_do() {
        for (path, reason, expected) in [
            ("/p", Reason::Missing, "cannot use the policy file /p: it does not exist"),
            (
                "/d",
                Reason::Writable,
                "cannot use the policy file /p: /d can be written by others than its owner (`chmod go-w /d`)",
            ),
            (
                "/d",
                Reason::WritableDirectory,
                "cannot use the policy file /p: /d is a directory that others than its owner can write \
                 (move the policy to another directory, or `chmod go-w /d`)",
            ),
            (
                "/d",
                Reason::Owner(7),
                "cannot use the policy file /p: /d belongs to user 7, who could change the policy \
                 (`chown root /d`, or keep the policy in a directory of root's)",
            ),
            (
                "/d",
                Reason::Refused(Errno::ACCESS),
                "cannot use the policy file /p: /d cannot be opened: Permission denied (os error 13)",
            ),
        ] {
            let error: super::super::InputError = fault(Path::new(path), reason).mistake(Path::new("/p")).into();
            assert_eq!(error.lines().next().unwrap(), expected);
        }
    }
}
