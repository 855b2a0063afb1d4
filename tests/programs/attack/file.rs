// SPDX-License-Identifier: Apache-2.0
//! The host's files, and programs that are not of the policy's choice.

use crate::attempt::{Attempt, Verdict, denied, found, together};
use crate::identity::UNMAPPED;
use crate::kernel::{apart, at, call};
use crate::world::World;
use nix::errno::Errno;
use nix::libc;
use std::fs::{self, File};
use std::io;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// A name where a command may be able to write, that no other attempt has.
pub(crate) fn scratch(name: &str) -> String {
    format!("/tmp/attack-{}-{name}", std::process::id())
}

pub(crate) const ALL: &[Attempt] = &[
    together("file: the host's, by its name", |world| File::open(world.text("secret")).into()),
    together("file: reach it through ../../..", |world| {
        File::open(format!("../../../../../../..{}", world.text("secret"))).into()
    }),
    together("file: see that it is there", |world| fs::metadata(world.text("secret")).into()),
    together("file: the host's accounts", |_| File::open("/etc/passwd").into()),
    together("file: the host's settings", |_| {
        let count = fs::read_dir("/etc").map_or(0, Iterator::count);
        found(count > 10, format!("{count} entries in /etc"))
    }),
    together("file: the host's state", |_| {
        // The directories on the way to what a policy shows are there, with nothing else in them.
        let count = fs::read_dir("/var/lib").map_or(0, Iterator::count);
        found(count > 2, format!("{count} entries in /var/lib"))
    }),
    together("file: the host's logs", |_| fs::read_dir("/var/log").into()),
    together("file: the host's kernel", |_| fs::read_dir("/boot").into()),
    together("file: the host's sockets and locks", |_| fs::read_dir("/run").into()),
    together("file: homes", |_| fs::read_dir("/home").into()),
    together("file: root's home", |_| fs::read_dir("/root").into()),
    together("file: write in a directory that everyone may write", |world| {
        put(&format!("{}/attack", world.text("directory")))
    }),
    together("file: write in /var/tmp", |_| put("/var/tmp/attack")),
    together("file: write in /usr", |_| put("/usr/attack")),
    together("file: write in /etc", |_| put("/etc/attack")),
    together("file: write in the root directory", |_| put("/attack")),
    together("file: change the times of a device", |_| {
        call_on("/dev/null", |path| call(libc::SYS_utimensat, &[libc::AT_FDCWD as u64, path, 0, 0]))
    }),
    together("file: change the owner", |_| with_own(|path| denied(call(libc::SYS_chown, &[path, 1, 1]), UNMAPPED))),
    together("file: hold up the host by a lock", |world| {
        let file = File::open(world.text("secret"));
        file.and_then(|file| nothing(call(libc::SYS_flock, &[file.as_raw_fd() as u64, libc::LOCK_EX as u64 | 4])))
            .into()
    }),
    together("file: hold up the host by a lease", |world| control(world, libc::F_SETLEASE, libc::F_RDLCK as u64)),
    together("file: watch a directory of the host", |world| {
        let directory = File::open(world.text("directory"));
        directory
            .and_then(|held| {
                nothing(call(libc::SYS_fcntl, &[held.as_raw_fd() as u64, libc::F_NOTIFY as u64, 0x8000_0001]))
            })
            .into()
    }),
    together("file: run a file it wrote", |_| run_written(|path| Command::new(path))),
    together("file: run a file it wrote, by the loader", |_| {
        run_written(|path| {
            let mut command = Command::new("/lib64/ld-linux-x86-64.so.2");
            command.arg(path);
            command
        })
    }),
    together("file: map a file it wrote as a program", |_| map_written()),
    together("file: run a program from memory", |_| from_memory().into()),
    together("file: a file in memory", |_| call(libc::SYS_memfd_create, &[at(b"attack\0"), 0]).into()),
    together("file: make a device node", |_| with_free(|path| node(path, libc::S_IFCHR, 0x103))),
    together("file: make a block device", |_| with_free(|path| node(path, libc::S_IFBLK, 0x700))),
    together("file: by a handle of its file system", |_| {
        let mut handle = [0_u8; 136];
        handle[..4].copy_from_slice(&128_u32.to_ne_bytes());
        let mut mount = 0_i32;
        let root = libc::AT_FDCWD as u64;
        let made = call(
            libc::SYS_name_to_handle_at,
            &[root, at(b"/usr\0"), crate::kernel::into(&mut handle), crate::kernel::into(&mut mount), 0],
        );
        made.and_then(|_| {
            let place = call(libc::SYS_openat, &[root, at(b"/\0"), libc::O_RDONLY as u64])? as u64;
            call(libc::SYS_open_by_handle_at, &[place, at(&handle), libc::O_RDONLY as u64])
        })
        .into()
    }),
];

fn nothing(result: Result<i64, Errno>) -> io::Result<()> {
    result.map(drop).map_err(|errno| io::Error::from_raw_os_error(errno as i32))
}

fn put(path: &str) -> Verdict {
    let made = File::create(path);
    if made.is_ok() {
        let _ = fs::remove_file(path);
    }
    made.into()
}

fn call_on<T: Into<Verdict>>(path: &str, act: impl FnOnce(u64) -> T) -> Verdict {
    let path = format!("{path}\0");
    act(at(path.as_bytes())).into()
}

/// With the name of a file of the command's own.
pub(crate) fn with_own<T: Into<Verdict>>(act: impl FnOnce(u64) -> T) -> Verdict {
    let path = scratch("own");
    let made = File::create(&path);
    let verdict = made.map(|_| call_on(&path, act));
    let _ = fs::remove_file(&path);
    verdict.unwrap_or_else(|error| Err::<(), _>(error).into())
}

/// With a name in a directory that can be written.
pub(crate) fn with_free(act: impl FnOnce(u64) -> Result<i64, Errno>) -> Verdict {
    let path = scratch("new");
    let verdict = call_on(&path, act);
    let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
    verdict
}

fn node(path: u64, kind: u32, device: u64) -> Result<i64, Errno> {
    call(libc::SYS_mknodat, &[libc::AT_FDCWD as u64, path, u64::from(kind | 0o666), device])
}

fn control(world: &World, command: i32, argument: u64) -> Verdict {
    let file = File::open(world.text("own"));
    file.and_then(|file| nothing(call(libc::SYS_fcntl, &[file.as_raw_fd() as u64, command as u64, argument]))).into()
}

fn own_program() -> io::Result<Vec<u8>> {
    fs::read("/proc/self/exe").or_else(|_| fs::read(std::env::args_os().next().expect("argv[0]")))
}

fn written() -> io::Result<String> {
    let path = scratch("program");
    let mut file = File::create(&path)?;
    file.write_all(&own_program()?)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn run_written(how: impl FnOnce(&str) -> Command) -> Verdict {
    let result = written().and_then(|path| {
        let output = how(&path).args(["say", "from a file"]).stdin(Stdio::null()).output();
        let _ = fs::remove_file(&path);
        let output = output?;
        if output.stdout == b"from a file\n" { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EACCES)) }
    });
    result.into()
}

fn map_written() -> Verdict {
    let result = written().and_then(|path| {
        let file = File::open(&path)?;
        let _ = fs::remove_file(&path);
        let (protection, private) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE);
        nothing(call(libc::SYS_mmap, &[0, 4096, protection as u64, private as u64, file.as_raw_fd() as u64, 0]))
    });
    result.into()
}

fn from_memory() -> Result<(), Errno> {
    let program = own_program().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    let held = call(libc::SYS_memfd_create, &[at(b"attack\0"), 0])? as u64;
    call(libc::SYS_write, &[held, program.as_ptr() as u64, program.len() as u64])?;
    let words = [c"attack".as_ptr(), c"effective-user".as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null::<libc::c_char>()];
    apart(|| {
        call(libc::SYS_close, &[1])?;
        let empty = libc::AT_EMPTY_PATH as u64;
        call(libc::SYS_execveat, &[held, at(b"\0"), at(&words), at(&environment), empty]).map(drop)
    })
}
