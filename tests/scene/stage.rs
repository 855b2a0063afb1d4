// SPDX-License-Identifier: Apache-2.0
//! Where the scenes play: a directory that the program's trust in paths and an ordinary user's rights both reach.
//! The source tree may lie below a home directory that is closed, and /tmp is anyone's to write, which a policy must
//! not be.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

static STAGE: OnceLock<PathBuf> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A program of this package: `spawnbox`, or one of `tests/programs`.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = stage().join(name);
    assert!(path.exists(), "no {name}: `cargo test` builds it; `cargo build --examples` does before a single test");
    path
}

/// The directory of this run of the tests; it goes when they have ended, however they end.
pub(crate) fn stage() -> &'static Path {
    STAGE.get_or_init(make)
}

/// A directory of one test, removed with the value.
#[derive(Debug)]
pub(crate) struct Room(PathBuf);

/// A new empty directory, mode 0755.
pub(crate) fn room() -> Room {
    let path = stage().join(format!("room-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    directory(&path);
    Room(path)
}

impl Room {
    /// The path of something in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The directory itself.
    pub(crate) fn whole(&self) -> &Path {
        &self.0
    }

    /// Writes a file, mode 0644.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("the stage can be written");
        mode(&path, 0o644);
        path
    }

    /// Makes a directory, mode 0755.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        directory(&path);
        path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Sets the mode of a file whatever the umask is.
pub(crate) fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, Permissions::from_mode(bits)).expect("the mode can be set");
}

fn directory(path: &Path) {
    fs::create_dir(path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
    mode(path, 0o755);
}

fn make() -> PathBuf {
    // Every directory above it must be root's, and executable: /run is mounted noexec by Debian.
    let above = if super::host::is_root() { "/var/lib" } else { env!("CARGO_TARGET_TMPDIR") };
    let path = Path::new(above).join(format!("spawnbox-tests-{}", std::process::id()));
    directory(&path);
    remove_at_end(&path);
    let tests = std::env::current_exe().expect("the tests know their own path");
    let built = tests.parent().and_then(Path::parent).expect("cargo puts tests into target/PROFILE/deps");
    let examples = ["probe", "attack", "failing", "guarded"].map(|name| (name, "examples"));
    for (name, from) in [("spawnbox", "")].into_iter().chain(examples) {
        let from = built.join(from).join(name);
        // Who asks for one that is not there is told so.
        if from.exists() {
            fs::copy(&from, path.join(name)).unwrap_or_else(|error| panic!("cannot copy {}: {error}", from.display()));
        }
    }
    path
}

/// A shell that reads to the end of its input, which comes when this process is gone, then removes the directory.
#[allow(clippy::zombie_processes)] // It outlives whoever could wait for it.
fn remove_at_end(path: &Path) {
    let mut cleaner = Command::new("/bin/sh")
        .args(["-c", "read -r go; trap '' INT HUP TERM; read -r never; rm -rf \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell is there");
    let mut stdin = cleaner.stdin.take().expect("standard input is a pipe");
    stdin.write_all(b"go\n").expect("the shell reads");
    // Left open on purpose: the end of this process is what ends it.
    std::mem::forget(stdin);
}

/// A program beside the one that is tested. It ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
