// SPDX-License-Identifier: Apache-2.0
//! What of the host the attacks aim at, made by root for as long as standard input is open: sockets, System V objects,
//! a queue, files, and a process of the command's user. Prints one line of `name=value`, and `reached` for each client
//! of its port that says so.

use crate::behave::name_of_left;
use crate::kernel::{Child, at, call};
use nix::libc;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Gid, Pid, Uid, chown, setgroups, setresgid, setresuid};
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

/// The user of every command: `nobody`.
const USER: u32 = 65534;

/// Makes them in `directory`, and removes what would outlive this process.
pub(crate) fn make(directory: &str) {
    let path = |name: &str| format!("{directory}/{name}");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback is there");
    let port = tcp.local_addr().expect("it is bound").port();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("there are ports").port();
    let abstract_name = format!("attack-{}", std::process::id());
    let name = SocketAddr::from_abstract_name(&abstract_name).expect("the name fits");
    let _abstract = UnixListener::bind_addr(&name).expect("the name is new");
    let _unix = UnixListener::bind(path("unix")).expect("the directory is new");
    let _log = UnixDatagram::bind(path("log")).expect("the directory is new");
    files(&path);
    let peer = Child::new(become_user).expect("root may fork");
    let key = 0x5b00_0000 | u64::from(std::process::id());
    let queue = format!("attack-{}", std::process::id());
    let objects = Objects::make(key, &queue);
    // What commands leave behind goes by this number, and where nothing keeps them from it, it is removed here.
    let left = 0x5c00_0000 | u64::from(std::process::id());
    let host = nix::unistd::gethostname().expect("the host has a name").to_string_lossy().into_owned();
    let numbers = format!("port={port} free-port={free} udp={} peer={}", address_port(&udp), peer.0);
    let ipc = format!("shm={key} sem={key} msg={key} queue={queue} abstract={abstract_name}");
    let files = ["unix", "log", "secret", "own", "directory", "set-id"].map(|name| format!("{name}={}", path(name)));
    println!("{numbers} {ipc} {} host={host} left={left}", files.join(" "));
    std::thread::spawn(move || tcp.incoming().flatten().for_each(hear));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    drop(objects);
    end_all_of_name(&name_of_left(left));
    for place in ["/tmp", "/var/tmp", "/dev/shm"] {
        let _ = fs::remove_file(format!("{place}/attack-left-{left}"));
    }
    if let Ok(memory) = call(libc::SYS_shmget, &[left, 0, 0]) {
        let _ = call(libc::SYS_shmctl, &[memory as u64, libc::IPC_RMID as u64, 0]);
    }
}

/// Ends what has that name, which nobody else has.
fn end_all_of_name(name: &str) {
    let entries = fs::read_dir("/proc").expect("the targets need /proc").flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|own| own.trim_end() == name) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn address_port(udp: &UdpSocket) -> u16 {
    udp.local_addr().expect("it is bound").port()
}

fn hear(client: std::net::TcpStream) {
    let mut line = String::new();
    let _ = client.set_read_timeout(Some(std::time::Duration::from_secs(5)));
    if BufReader::new(client).read_line(&mut line).is_ok() && line == "reached\n" {
        println!("reached");
    }
}

fn files(path: &impl Fn(&str) -> String) {
    let set = |name: &str, bits: u32| {
        fs::set_permissions(path(name), Permissions::from_mode(bits)).expect("the file is ours");
    };
    for name in ["secret", "own"] {
        fs::write(path(name), "of the host\n").expect("the directory is ours");
    }
    chown(path("own").as_str(), Some(Uid::from_raw(USER)), None).expect("root may give files away");
    fs::create_dir(path("directory")).expect("the directory is ours");
    fs::copy("/proc/self/exe", path("set-id")).expect("a program can be copied");
    for (name, bits) in
        [("secret", 0o644), ("own", 0o644), ("unix", 0o666), ("log", 0o666), ("directory", 0o1777), ("set-id", 0o4755)]
    {
        set(name, bits);
    }
}

fn become_user() {
    let (uid, gid) = (Uid::from_raw(USER), Gid::from_raw(USER));
    setgroups(&[gid]).and_then(|()| setresgid(gid, gid, gid)).expect("root may");
    setresuid(uid, uid, uid).expect("root may");
    // What a change of ids takes away, and exec would give back: its files below /proc are its own again.
    call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as u64, 1]).expect("a process may");
    // What is sent to it waits, so that it can be seen that it came.
    let kept = SigSet::from(Signal::SIGUSR2);
    kept.thread_block().expect("a process may");
    File::open("/dev/null").map(std::mem::forget).expect("there is a null device");
}

/// Objects that outlive their maker.
struct Objects {
    memory: i64,
    semaphores: i64,
    messages: i64,
    queue: String,
}

impl Objects {
    fn make(key: u64, queue: &str) -> Objects {
        let create = (libc::IPC_CREAT | 0o666) as u64;
        let name = format!("{queue}\0");
        call(libc::SYS_umask, &[0]).expect("a process may");
        let flags = (libc::O_CREAT | libc::O_RDWR) as u64;
        call(libc::SYS_mq_open, &[at(name.as_bytes()), flags, 0o666, 0]).expect("a queue can be made");
        Objects {
            memory: call(libc::SYS_shmget, &[key, 4096, create]).expect("memory can be shared"),
            semaphores: call(libc::SYS_semget, &[key, 1, create]).expect("semaphores can be made"),
            messages: call(libc::SYS_msgget, &[key, create]).expect("a message queue can be made"),
            queue: name,
        }
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        let remove = libc::IPC_RMID as u64;
        let _ = call(libc::SYS_shmctl, &[self.memory as u64, remove, 0]);
        let _ = call(libc::SYS_semctl, &[self.semaphores as u64, 0, remove]);
        let _ = call(libc::SYS_msgctl, &[self.messages as u64, remove, 0]);
        let _ = call(libc::SYS_mq_unlink, &[at(self.queue.as_bytes())]);
    }
}
