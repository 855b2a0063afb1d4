// SPDX-License-Identifier: Apache-2.0
//! What the paths of a policy are on this host. Opens nothing but symbolic links and directories on the way.

use super::HostError;
use super::error::is_passing;
use super::facts::PathFact;
use nix::errno::Errno;
use nix::libc;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// As many symbolic links as the kernel follows on the way of one path (`MAXSYMLINKS`, see path_resolution(7)).
pub const MOST_LINKS: usize = 40;

/// Where every user of a host may make files.
const ANYONES: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// The directory in which every user may make files, if this path is in one.
pub fn anyones(path: &Path) -> Option<&'static Path> {
    ANYONES.iter().map(Path::new).find(|place| path.starts_with(place))
}

/// Looks at every path.
pub fn look_at(paths: &[PathBuf]) -> Result<BTreeMap<PathBuf, PathFact>, HostError> {
    paths.iter().map(|path| Ok((path.clone(), fact(path)?))).collect()
}

fn fact(path: &Path) -> Result<PathFact, HostError> {
    found(path).or_else(|error| match error.raw_os_error() {
        // A component that is a file: nothing can be below it.
        Some(libc::ENOENT | libc::ENOTDIR) => Ok(PathFact::Missing),
        Some(errno) => unreadable(path, Errno::from_raw(errno)),
        // A path with a NUL byte, which std refuses itself.
        None => Ok(PathFact::Unreadable(libc::EINVAL)),
    })
}

/// What cannot be looked at is a fact, but for what may be looked at the next time.
pub(super) fn unreadable(path: &Path, errno: Errno) -> Result<PathFact, HostError> {
    match is_passing(errno) {
        true => Err(HostError::new(format!("look at {}", path.display()), errno)),
        false => Ok(PathFact::Unreadable(errno as i32)),
    }
}

fn found(path: &Path) -> io::Result<PathFact> {
    let resolved = fs::canonicalize(path)?;
    let directory = fs::metadata(&resolved)?.is_dir();
    let link = match fs::symlink_metadata(path)?.is_symlink() {
        true => Some(fs::read_link(path)?),
        false => None,
    };
    Ok(PathFact::Found { resolved, directory, link })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_there_and_what_is_not() {
        let base = std::env::temp_dir().join(format!("spawnbox-paths-{}", std::process::id()));
        fs::create_dir_all(base.join("tree")).unwrap();
        let base = fs::canonicalize(base).unwrap();
        fs::write(base.join("tree/file"), "").unwrap();
        symlink("tree", base.join("link")).unwrap();
        symlink("link/file", base.join("twice")).unwrap();
        symlink("nothing", base.join("dangling")).unwrap();
        symlink("loop", base.join("loop")).unwrap();
        let found = |resolved: &str, directory, link: Option<&str>| PathFact::Found {
            resolved: base.join(resolved),
            directory,
            link: link.map(PathBuf::from),
        };
        let cases = [
            ("nothing", PathFact::Missing),
            ("tree/file/below", PathFact::Missing),
            ("dangling", PathFact::Missing),
            ("loop", PathFact::Unreadable(libc::ELOOP)),
            ("nul\0byte", PathFact::Unreadable(libc::EINVAL)),
            ("tree", found("tree", true, None)),
            ("tree/file", found("tree/file", false, None)),
            ("link", found("tree", true, Some("tree"))),
            ("link/file", found("tree/file", false, None)),
            ("twice", found("tree/file", false, Some("link/file"))),
        ];
        let paths = cases.clone().map(|(path, _)| base.join(path));
        let seen = look_at(&paths).unwrap();
        fs::remove_dir_all(&base).unwrap();
        assert_eq!(seen, cases.map(|(path, fact)| (base.join(path), fact)).into());
    }
}
