// SPDX-License-Identifier: Apache-2.0
//! Things that a command tries and that a sandbox may refuse, each one system call or the shortest way to it.

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// Tries what `name` says; `None` where this file knows no such attempt.
pub(crate) fn attempt(name: &str, arguments: &[&str]) -> Option<Result<String, Errno>> {
    let first = arguments.first().copied().unwrap_or_default();
    let second = arguments.get(1).copied().unwrap_or_default();
    let result = match name {
        "open" => done(fs::File::open(first)),
        "write" => done(fs::write(first, second)),
        "read" => fs::read_to_string(first).map(|text| text.trim_end().to_string()).map_err(errno),
        "list" => list(first),
        "mkdir" => done(fs::create_dir(first)),
        "remove" => done(fs::remove_file(first)),
        "chmod" => chmod(first, second),
        "mode" => fs::metadata(first).map(|found| mode(&found)).map_err(errno),
        "execute" => execute(first, &arguments[1..]),
        "fill" => done(fs::write(first, vec![b'x'; number(second) as usize])),
        "files" => files(first, number(second)),
        "connect" => done(TcpStream::connect(first)),
        "bind" => done(TcpListener::bind(first)),
        "udp" => done(UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"x", first))),
        "unix" => done(UnixStream::connect(first)),
        "abstract" => abstract_socket(first),
        "abstract-listen" => abstract_listen(first),
        "abandon-sockets" => abandon_sockets(),
        "kill" => kill(first, second),
        "ptrace" => call(libc::SYS_ptrace, &[libc::PTRACE_SEIZE as u64, number(first), 0, 0]),
        "take-descriptor" => take_descriptor(first, second),
        "read-memory" => read_memory(first),
        "unshare" => call(libc::SYS_unshare, &[number(first)]),
        "chroot" => done(std::os::unix::fs::chroot(first)),
        "mount" => mount(first),
        "setuid" => call(libc::SYS_setuid, &[number(first)]),
        "setgid" => call(libc::SYS_setgid, &[number(first)]),
        "keyring" => keyring(),
        "add-key" => add_key(first, second),
        "find-key" => find_key(first, second),
        "rwx" => rwx(),
        "memfd-execute" => memfd_execute(),
        "system-call" => call(number(first) as i64, &[0; 6]),
        "socket" => call(libc::SYS_socket, &[number(first), number(second), 0]),
        "listen-connection" => call(libc::SYS_listen, &[0, 1]),
        "raise-limit" => raise_limit(),
        "queue" => queue(),
        "inotify" => inotify(number(first)),
        "lease" => lease(first),
        _ => return None,
    };
    Some(result)
}

pub(crate) fn number(text: &str) -> u64 {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    parsed.unwrap_or_else(|| panic!("{text} is no number"))
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

fn done<T>(result: io::Result<T>) -> Result<String, Errno> {
    result.map(|_| String::new()).map_err(errno)
}

fn call(number: i64, arguments: &[u64]) -> Result<String, Errno> {
    let mut six = [0; 6];
    six[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = six;
    // SAFETY: every argument is a number or null; a call that wants memory there answers EFAULT.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    Errno::result(result).map(|_| String::new())
}

fn list(path: &str) -> Result<String, Errno> {
    let entries = fs::read_dir(path).map_err(errno)?;
    let mut names: Vec<String> = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()
        .map_err(errno)?;
    names.sort();
    Ok(if names.is_empty() { "nothing".to_string() } else { names.join(" ") })
}

fn mode(found: &fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{:04o} {}:{}", found.mode() & 0o7777, found.uid(), found.gid())
}

fn chmod(path: &str, bits: &str) -> Result<String, Errno> {
    use std::os::unix::fs::PermissionsExt;
    let bits = u32::from_str_radix(bits, 8).expect("octal bits");
    done(fs::set_permissions(path, fs::Permissions::from_mode(bits)))
}

fn execute(program: &str, arguments: &[&str]) -> Result<String, Errno> {
    std::process::Command::new(program).args(arguments).status().map(|status| status.to_string()).map_err(errno)
}

/// Makes empty files until one is refused; says how many there are.
fn files(directory: &str, most: u64) -> Result<String, Errno> {
    let made = (0..most).take_while(|index| fs::File::create(format!("{directory}/{index}")).is_ok()).count();
    Ok(format!("{made} made"))
}

fn abstract_socket(name: &str) -> Result<String, Errno> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).map_err(errno)?;
    done(UnixStream::connect_addr(&address))
}

/// Listens on an abstract name until this process ends.
fn abstract_listen(name: &str) -> Result<String, Errno> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).map_err(errno)?;
    let listener = std::os::unix::net::UnixListener::bind_addr(&address).map_err(errno)?;
    // Not closed with this function.
    std::mem::forget(listener);
    Ok(String::new())
}

/// Leaves sockets behind that lie in each other's queues: one pair in its own, one pair in the other's.
fn abandon_sockets() -> Result<String, Errno> {
    let pair = || UnixStream::pair().map_err(errno);
    let ((first, second), (third, fourth)) = (pair()?, pair()?);
    for (by, left) in [(&first, &first), (&first, &second), (&first, &third), (&third, &fourth), (&third, &first)] {
        let control = [ControlMessage::ScmRights(&[left.as_raw_fd()])];
        sendmsg::<()>(by.as_raw_fd(), &[std::io::IoSlice::new(b"x")], &control, MsgFlags::empty(), None)?;
    }
    Ok(String::new())
}

fn kill(pid: &str, signal: &str) -> Result<String, Errno> {
    let pid: i32 = pid.parse().expect("a process id");
    let signal: i32 = signal.parse().expect("a signal");
    // SAFETY: two numbers.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(|_| String::new())
}

fn take_descriptor(pid: &str, number_there: &str) -> Result<String, Errno> {
    // SAFETY: two numbers.
    let held = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, number(pid), 0) })?;
    call(libc::SYS_pidfd_getfd, &[held as u64, number(number_there), 0])
}

/// Reads where no process has memory: EFAULT where it might have been read.
fn read_memory(pid: &str) -> Result<String, Errno> {
    let mut byte = [0_u8];
    let here = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let there = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 1 };
    // SAFETY: the byte is alive; the other address is looked up in the other process alone.
    Errno::result(unsafe { libc::process_vm_readv(number(pid) as i32, &here, 1, &there, 1, 0) }).map(|_| String::new())
}

fn mount(target: &str) -> Result<String, Errno> {
    use nix::mount::{MsFlags, mount};
    mount(Some("none"), target, Some("tmpfs"), MsFlags::empty(), None::<&str>).map(|()| String::new())
}

/// The description of the session keyring: `keyring;UID;GID;MODE;NAME`.
fn keyring() -> Result<String, Errno> {
    let mut text = [0u8; 256];
    // SAFETY: KEYCTL_DESCRIBE (6) of KEY_SPEC_SESSION_KEYRING (-3) writes at most the length given.
    let length = unsafe { libc::syscall(libc::SYS_keyctl, 6, -3, text.as_mut_ptr(), text.len()) };
    let length = Errno::result(length)? as usize;
    Ok(String::from_utf8_lossy(&text[..length.saturating_sub(1)]).into_owned())
}

/// Adds a key to the keyring with this (negative) number: -3 is the session's, -4 the user's.
fn add_key(keyring: &str, name: &str) -> Result<String, Errno> {
    let keyring: i32 = keyring.parse().expect("a number");
    let name = std::ffi::CString::new(name).expect("no NUL");
    // SAFETY: three C strings, the last with its length.
    let key = unsafe {
        libc::syscall(libc::SYS_add_key, c"user".as_ptr(), name.as_ptr(), c"x".as_ptr(), 1_usize, i64::from(keyring))
    };
    Errno::result(key).map(|_| String::new())
}

/// Looks for a key in the keyring with this number.
fn find_key(keyring: &str, name: &str) -> Result<String, Errno> {
    let keyring: i32 = keyring.parse().expect("a number");
    let name = std::ffi::CString::new(name).expect("no NUL");
    // SAFETY: KEYCTL_SEARCH (10) reads two C strings and links nothing.
    let key =
        unsafe { libc::syscall(libc::SYS_keyctl, 10_i64, i64::from(keyring), c"user".as_ptr(), name.as_ptr(), 0_i64) };
    Errno::result(key).map(|_| String::new())
}

fn rwx() -> Result<String, Errno> {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    // SAFETY: a fresh anonymous mapping that nothing uses.
    let mapped =
        unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    if mapped == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(String::new()) }
}

/// Writes a two-line script into a memory file and executes it by its descriptor.
fn memfd_execute() -> Result<String, Errno> {
    use std::io::Write;
    use std::os::fd::{AsRawFd, FromRawFd};
    // SAFETY: the name is a C string; no flag, so neither sealed nor close-on-exec.
    let made = Errno::result(unsafe { libc::memfd_create(c"probe".as_ptr(), 0) })?;
    // SAFETY: the kernel has just made it for us.
    let mut file = unsafe { fs::File::from_raw_fd(made) };
    let program =
        fs::read("/proc/self/exe").or_else(|_| fs::read(std::env::args().next().expect("argv[0]"))).map_err(errno)?;
    file.write_all(&program).map_err(errno)?;
    let argv = [c"probe".as_ptr(), c"say".as_ptr(), c"from memory".as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null::<libc::c_char>()];
    // SAFETY: all strings are constants, both vectors end with a null.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Err(Errno::last())
}

fn raise_limit() -> Result<String, Errno> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard + 1, hard + 1).map(|()| String::new())
}

/// The identifier of a System V message queue with a fixed key, made if it is not there.
fn queue() -> Result<String, Errno> {
    // SAFETY: two numbers.
    let made = unsafe { libc::msgget(0x5b0b, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    Errno::result(made).map(|_| String::new())
}

/// Makes inotify instances until one is refused; says how many there are.
fn inotify(most: u64) -> Result<String, Errno> {
    // SAFETY: a number; the descriptors are closed with this process.
    let one = |_: &u64| unsafe { libc::inotify_init1(0) } >= 0;
    Ok(format!("{} made", (0..most).take_while(one).count()))
}

/// Holds a write lease on a file until this process ends: whoever opens it meanwhile waits.
fn lease(path: &str) -> Result<String, Errno> {
    use std::os::fd::IntoRawFd;
    let file = fs::OpenOptions::new().read(true).write(true).open(path).map_err(errno)?.into_raw_fd();
    // The breaker's signal would end this process and with it the lease.
    // SAFETY: ignoring runs no code of ours.
    unsafe { nix::sys::signal::signal(nix::sys::signal::SIGIO, nix::sys::signal::SigHandler::SigIgn) }?;
    // SAFETY: two numbers.
    Errno::result(unsafe { libc::fcntl(file, libc::F_SETLEASE, libc::F_WRLCK) }).map(|_| String::new())
}
