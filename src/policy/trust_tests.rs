// SPDX-License-Identifier: Apache-2.0
//! Who could have written a file decides, on every way that leads to it.

use super::super::Scene;
use super::*;
use std::io::Read as _;

const CALLER: u32 = 1000;

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
    let file = scene.file("file", 0o664, "");
    refused(&file, &file, Reason::Writable);
    let directory = scene.directory("open", 0o775);
    scene.file("open/file", 0o644, "");
    refused(&directory.join("file"), &directory, Reason::WritableDirectory);
}

#[test]
fn a_directory_behind_a_link_is_looked_at() {
    let scene = Scene::new();
    let open = scene.directory("open", 0o777);
    scene.file("open/file", 0o644, "");
    refused(&scene.link("link", "open/file"), &open, Reason::WritableDirectory);
    refused(&scene.link("link to directory", &open).join("file"), &open, Reason::WritableDirectory);
    // The way back out of it was looked at on the way in.
    scene.file("file", 0o644, "");
    refused(&scene.link("through", "open/../file"), &open, Reason::WritableDirectory);
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let scene = Scene::new();
    refused(scene.whole(), scene.whole(), Reason::NotAFile);
    refused(Path::new("/"), Path::new("/"), Reason::NotAFile);
    let file = scene.file("file", 0o644, "");
    refused(&file.join("x"), &file, Reason::NotADirectory);
    let pipe = scene.path("pipe");
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
    let missing = scene.path("missing");
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
    refused(&scene.file("sticky/file", 0o644, ""), &sticky, Reason::WritableDirectory);
}

#[test]
fn a_file_of_the_caller_is_read_through_links() {
    let scene = Scene::new();
    let own = scene.directory("own", 0o755);
    let file = scene.file("own/file", 0o644, "text");
    assert_eq!(open_as_caller(&file).unwrap(), "text");
    scene.link("a", &own);
    scene.link("b", "a");
    assert_eq!(open_as_caller(&scene.path("b/../b/./file")).unwrap(), "text");
    assert_eq!(open_as_caller(&scene.link("c", "b/file")).unwrap(), "text");
    assert_eq!(open_as_caller(&scene.link("d", "../../../../../../../../..").join(&file)).unwrap(), "text");
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
            "/tmp",
            Reason::WritableDirectory,
            "cannot use the policy file /p: /tmp is a directory that others than its owner can write \
             (move the policy to another directory, such as your own)",
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
