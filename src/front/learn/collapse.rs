// SPDX-License-Identifier: Apache-2.0
//! Many files of one directory become the directory, where that is a program's own tree and no one's secrets. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// So many names in one directory stand for all of them.
pub(super) const MANY: usize = 4;

/// What packages install there is the same on every host that has them, and readable by everybody.
const PROGRAMS: &[&str] = &["/usr", "/lib", "/lib64"];
/// Below those, what an administrator installs, who may keep keys beside it.
const OWN: &str = "/usr/local";

/// Never granted whole: too many packages, users or services meet there.
const ROOFS: &[&str] = &[
    "/",
    "/usr",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share",
    "/usr/local",
    "/usr/local/lib",
    "/usr/local/share",
    "/usr/local/etc",
    "/usr/src",
    "/opt",
    "/lib",
    "/lib64",
    "/etc",
    "/home",
    "/root",
    "/var",
    "/var/lib",
    "/var/spool",
    "/var/log",
    "/var/cache",
    "/var/run",
    "/run",
    "/run/user",
    "/srv",
    "/mnt",
    "/media",
    "/boot",
    "/sys",
    "/dev",
    "/proc",
    "/tmp",
    "/var/tmp",
    "/etc/ssl/private",
    "/etc/sudoers.d",
];

/// Names of what is somebody's secret, wherever it is.
const SECRETS: &[&str] = &[
    "shadow",
    "gshadow",
    "sudoers",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
    ".netrc",
    ".pgpass",
    ".my.cnf",
    "sasl_passwd",
];
const SECRET_DIRECTORIES: &[&str] = &[".ssh", ".gnupg", ".aws", ".kube", "private"];

/// Whether a directory is never granted whole, but for what is in it.
pub(super) fn is_roof(path: &Path) -> bool {
    let home = path.parent() == Some(Path::new("/home"));
    home || ROOFS.iter().any(|roof| path == Path::new(roof))
}

/// Whether whoever reads the policy should look twice.
pub(super) fn is_secret(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let key = name.ends_with(".key") || name.ends_with("_key");
    let below = path.components().any(|part| SECRET_DIRECTORIES.contains(&&*part.as_os_str().to_string_lossy()));
    key || below || SECRETS.contains(&&*name)
}

/// Whether a directory's files may be granted with their neighbours.
fn is_a_packages(path: &Path) -> bool {
    PROGRAMS.iter().any(|tree| path.starts_with(tree)) && !path.starts_with(OWN) && !is_roof(path)
}

/// The directories that stand for names in them, with all that they stand for. What is left as it is stands for itself,
/// and so does all that is beside a secret.
pub(super) fn collapse(paths: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let mut all: BTreeMap<PathBuf, BTreeSet<PathBuf>> =
        paths.iter().map(|path| (path.clone(), BTreeSet::from([path.clone()]))).collect();
    loop {
        let mut within: BTreeMap<&Path, usize> = BTreeMap::new();
        for parent in all.keys().filter_map(|path| path.parent()).filter(|parent| is_a_packages(parent)) {
            *within.entry(parent).or_default() += 1;
        }
        let secrets: Vec<&Path> = all.keys().map(PathBuf::as_path).filter(|path| is_secret(path)).collect();
        within.retain(|directory, _| !secrets.iter().any(|secret| secret.starts_with(directory)));
        // The innermost first: what it takes in may leave too few for the one around it.
        let many = within.into_iter().filter(|(_, names)| *names >= MANY);
        let Some((directory, _)) = many.max_by_key(|(path, _)| path.components().count()) else { return all };
        let directory = directory.to_path_buf();
        let inside: Vec<PathBuf> = all.keys().filter(|path| path.starts_with(&directory)).cloned().collect();
        let stands_for = inside.iter().filter_map(|path| all.remove(path)).flatten().collect();
        all.insert(directory, stands_for);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collapsed(paths: &[&str]) -> Vec<String> {
        let paths = paths.iter().map(PathBuf::from).collect();
        collapse(&paths).keys().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn four_of_a_kind_are_a_directory_in_a_programs_tree() {
        assert_eq!(collapsed(&["/usr/share/x/a", "/usr/share/x/b", "/usr/share/x/c"]).len(), 3);
        assert_eq!(
            collapsed(&["/usr/share/x/a", "/usr/share/x/b", "/usr/share/x/c", "/usr/share/x/d/e"]),
            ["/usr/share/x/a", "/usr/share/x/b", "/usr/share/x/c", "/usr/share/x/d/e"]
        );
        assert_eq!(
            collapsed(&[
                "/usr/lib/x/a",
                "/usr/lib/x/b",
                "/usr/lib/x/c",
                "/usr/lib/x/d",
                "/usr/lib/x/e/f",
                "/usr/lib/y"
            ]),
            ["/usr/lib/x", "/usr/lib/y"]
        );
    }

    #[test]
    fn nothing_is_collapsed_where_others_keep_theirs() {
        for tree in
            ["/etc/x", "/home/u/x", "/root", "/var/lib/x", "/usr/share", "/usr/local/lib/x", "/opt/x", "/run", "/srv/x"]
        {
            let names: Vec<String> = ["a", "b", "c", "d", "e"].map(|name| format!("{tree}/{name}")).to_vec();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            assert_eq!(collapsed(&names), names, "{tree}");
        }
    }

    #[test]
    fn what_is_beside_a_secret_is_granted_by_its_own_name() {
        let names = ["/usr/lib/x/a", "/usr/lib/x/b", "/usr/lib/x/c", "/usr/lib/x/d", "/usr/lib/x/tls/server.key"];
        assert_eq!(collapsed(&names), names);
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for path in [
            "/etc/shadow",
            "/home/u/.ssh/config",
            "/etc/ssl/private/x.pem",
            "/srv/tls.key",
            "/etc/ssh/ssh_host_rsa_key",
        ] {
            assert!(is_secret(Path::new(path)), "{path}");
        }
        assert!(!is_secret(Path::new("/etc/passwd")) && !is_secret(Path::new("/usr/share/keyboard")));
    }
}
