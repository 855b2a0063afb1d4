// SPDX-License-Identifier: Apache-2.0
//! In a thread of each test's own, which alone changes its namespaces. As root; elsewhere it is said that it is not
//! tried.

use super::*;
use crate::sys::clone::{self, Side};
use crate::sys::socket::send_descriptors;
use nix::sys::signal::Signal;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, socketpair};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

/// A launcher's place: /proc, and what it keeps.
struct Scene {
    proc: OwnedFd,
    stock: Stock,
}

/// Plays in a thread of its own.
fn play(act: impl FnOnce(Scene) + Send + 'static) {
    if !crate::host::met("root", nix::unistd::geteuid().is_root()) {
        return;
    }
    let play = move || {
        let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let kinds = Kinds { network: true, ipc: true, user: None };
        let stock = Stock::new(kinds, proc.as_fd()).expect("namespaces can be made and entered");
        assert!(stock.kinds.network && stock.kinds.ipc);
        act(Scene { proc, stock });
    };
    std::thread::spawn(play).join().unwrap();
}

fn release() -> (u32, u32) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Of the account without rights.
fn nobody() -> Own {
    let text = || c"65534 65534 1".to_owned();
    Own { uid: 65534, gid: 65534, uid_map: text(), gid_map: text(), scratch: Vec::new() }
}

impl Scene {
    /// A session in the next namespace: what it does there, the process that it is, and the namespace that it has.
    fn session<T>(&mut self, act: impl FnOnce() -> T) -> (T, Child, (u64, u64)) {
        let kept = self.stock.enter(self.proc.as_fd());
        let own = identity(kept.network.as_ref().unwrap().namespace.as_fd()).unwrap();
        assert_eq!(identity(open(self.proc.as_fd(), NETWORK).unwrap().as_fd()).unwrap(), own);
        let left = act();
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        self.stock.lend(kept, pidfd);
        (left, child, own)
    }

    /// Whether the next session gets the namespace of one that did this and has ended since.
    fn keeps<T>(&mut self, act: impl FnOnce() -> T) -> bool {
        // Only that one is there to be taken.
        self.stock.free.clear();
        let (left, mut child, own) = self.session(act);
        child.kill().unwrap();
        child.wait().unwrap();
        let ((), mut next, then) = self.session(|| ());
        drop(left);
        next.kill().unwrap();
        next.wait().unwrap();
        own == then
    }
}

#[test]
fn one_is_used_again_once_its_session_is_dead() {
    play(|mut scene| {
        let ((), mut first, own) = scene.session(|| ());
        let ((), mut second, other) = scene.session(|| ());
        assert_ne!(own, other, "two live sessions share it");
        first.kill().unwrap();
        first.wait().unwrap();
        // Not before they are free: both that were made at the start are in use.
        let ((), mut third, again) = scene.session(|| ());
        assert_eq!(own, again);
        for child in [&mut second, &mut third] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    });
}

#[test]
fn one_of_a_session_that_has_seen_many_others_is_let_go_of() {
    play(|mut scene| {
        let ((), mut long, own) = scene.session(|| ());
        let mut others = Vec::new();
        for _ in 0..LONG {
            let ((), mut child, other) = scene.session(|| ());
            child.kill().unwrap();
            child.wait().unwrap();
            others.push(other);
        }
        assert_eq!(scene.stock.lent.len(), 1, "it is asked after");
        long.kill().unwrap();
        long.wait().unwrap();
        let ((), mut next, then) = scene.session(|| ());
        next.kill().unwrap();
        next.wait().unwrap();
        assert!(others.contains(&then) && !others.contains(&own));
    });
}

#[test]
fn one_of_ipc_is_entered_with_its_network_and_used_again() {
    play(|mut scene| {
        let own = |scene: &Scene| identity(open(scene.proc.as_fd(), IPC).unwrap().as_fd()).unwrap();
        let host = rustix::fs::stat("/proc/self/ns/ipc").unwrap();
        let ((), mut first, _) = scene.session(|| ());
        let before = own(&scene);
        assert_ne!(before, (host.st_dev, host.st_ino));
        let ((), mut second, _) = scene.session(|| ());
        assert_ne!(own(&scene), before, "two live sessions share it");
        first.kill().unwrap();
        first.wait().unwrap();
        let ((), mut third, _) = scene.session(|| ());
        assert_eq!(own(&scene), before);
        for child in [&mut second, &mut third] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    });
}

#[test]
fn one_of_users_is_used_again_once_its_session_is_reaped() {
    play(|scene| {
        // Where the kernel does not say when a process is reaped, they are not kept.
        if !crate::host::met("kernel 6.9", release() >= (6, 9)) {
            return;
        }
        let stock = Stock::new(Kinds { network: false, ipc: false, user: Some(nobody()) }, scene.proc.as_fd());
        let mut stock = stock.expect("they can be made and entered");
        let number = |kept: &Kept| identity(kept.user.as_ref().unwrap().as_fd()).unwrap();
        let mut next = || stock.enter(scene.proc.as_fd());
        let (kept, other) = (next(), next());
        let own = number(&kept);
        assert_ne!(own, number(&other));
        let mut session = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&session);
        stock.lend(kept, rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap());
        session.kill().unwrap();
        let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), ended).unwrap();
        assert_ne!(number(&stock.enter(scene.proc.as_fd())), own, "a process is still counted there");
        session.wait().unwrap();
        assert_eq!(number(&stock.enter(scene.proc.as_fd())), own);
    });
}

#[test]
fn who_is_stopped_in_one_of_users_is_waited_for_no_longer_than_it_may_take() {
    play(|scene| {
        let own = nobody();
        let sent = user::send(&own, [scene.proc.as_fd()], Duration::from_millis(100), |[proc]| {
            let _made = user::enter_new(&own, proc)?;
            nix::sys::signal::raise(Signal::SIGSTOP)
        });
        assert!(sent.is_err());
        assert_eq!(std::fs::read_to_string("/proc/thread-self/children").unwrap(), "", "it is left");
    });
}

#[test]
fn who_is_stopped_in_one_of_users_has_nothing_of_its_launcher_and_does_not_outlive_it() {
    play(|scene| {
        let (own, (read, written)) = (nobody(), nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap());
        let launcher = match clone::clone_child().unwrap() {
            Side::Parent(launcher) => launcher,
            Side::Child => {
                let long = Duration::from_secs(1000);
                let _ = user::send(&own, [scene.proc.as_fd(), written.as_fd()], long, |[proc, written]| {
                    let _made = user::enter_new(&own, proc)?;
                    rustix::io::write(written, b"x").map_err(errno)?;
                    std::thread::sleep(long);
                    Ok(())
                });
                process::exit(0)
            }
        };
        drop(written);
        assert_eq!(rustix::io::read(&read, &mut [0; 1]), Ok(1), "it has not come there");
        let sent = std::fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).unwrap();
        let sent = sent.trim_end();
        let open = std::fs::read_dir(format!("/proc/{sent}/fd")).unwrap().count();
        assert_eq!(open, 3, "/proc, the pipe, the namespace that it has made");
        let stop = ["-c", "kill -STOP $0", sent];
        assert!(Command::new("sh").args(stop).uid(own.uid).gid(own.gid).status().unwrap().success());
        let pid = rustix::process::Pid::from_raw(sent.parse().unwrap()).unwrap();
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        nix::sys::signal::kill(launcher, Signal::SIGKILL).unwrap();
        nix::sys::wait::waitpid(launcher, None).unwrap();
        let mut entries = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut entries, PollTimeout::try_from(100_000).unwrap()), Ok(1), "it is there");
    });
}

#[test]
fn in_one_of_users_its_user_may_have_no_more_processes_than_outside() {
    play(|scene| {
        let (own, (soft, hard)) = (nobody(), process::limit(libc::RLIMIT_NPROC).unwrap());
        let launcher = match clone::clone_child().unwrap() {
            Side::Parent(launcher) => launcher,
            Side::Child => {
                let limit = |most| process::set_limit(libc::RLIMIT_NPROC, most, hard);
                let made = limit(1).and_then(|()| user::make(&own, scene.proc.as_fd()));
                let refused = made.and_then(|made| {
                    limit(soft)?;
                    user::send(&own, [made.as_fd()], Duration::from_secs(100), |[made]| {
                        process::enter_user(made)?;
                        match clone::clone_child() {
                            Ok(Side::Child) => process::exit(0),
                            Ok(Side::Parent(_)) => Err(Errno::EEXIST),
                            Err(Errno::EAGAIN) => Ok(()),
                            Err(errno) => Err(errno),
                        }
                    })
                });
                process::exit(i32::from(refused.is_err()))
            }
        };
        assert!(crate::sandbox::loan::ended_well(launcher), "it has a second one");
    });
}

#[test]
fn one_in_which_a_socket_is_left_is_given_up() {
    play(|mut scene| {
        assert!(scene.keeps(|| ()));
        assert!(
            scene.keeps(|| socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map(drop))
        );
        assert!(
            !scene.keeps(|| socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap())
        );
        assert!(!scene.keeps(|| UdpSocket::bind("0.0.0.0:0").unwrap()));
        assert!(!scene.keeps(|| TcpListener::bind("0.0.0.0:0").unwrap()));
        let of = |family, kind, protocol| socket_with(family, kind, SocketFlags::CLOEXEC, protocol);
        assert!(!scene.keeps(|| of(AddressFamily::NETLINK, SocketType::RAW, None).unwrap()));
        assert!(!scene.keeps(|| of(AddressFamily::PACKET, SocketType::RAW, None).unwrap()));
        assert!(!scene.keeps(|| of(AddressFamily::INET, SocketType::RAW, Some(rustix::net::ipproto::ICMP)).unwrap()));
    });
}

#[test]
fn an_abstract_name_that_lives_on_in_a_queue_is_not_met() {
    play(|mut scene| {
        let name = format!("kept-{}", std::process::id());
        let address = <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
        let address = address.unwrap();
        // The listener is closed by all, and lies in the queue of a socket that somebody outside still has.
        let left = || {
            let listener = UnixListener::bind_addr(&address).unwrap();
            let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
            send_descriptors(near.as_fd(), b"x", &[listener.as_fd()]).unwrap();
            far
        };
        assert!(!scene.keeps(left));
    });
}

#[test]
fn one_with_a_connection_in_time_wait_is_given_up() {
    play(|mut scene| {
        let left = || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            process::raise_loopback(socket.as_fd()).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (far, _) = listener.accept().unwrap();
            drop(near);
            drop(far);
        };
        assert!(!scene.keeps(left));
    });
}

#[test]
fn those_that_are_not_needed_any_more_are_let_go_of() {
    play(|mut scene| {
        let mut many: Vec<_> = (0..MOST + 3).map(|_| scene.session(|| ()).1).collect();
        assert_eq!((scene.stock.lent.len(), scene.stock.free.len()), (MOST, 0));
        for child in &mut many {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        for _ in 0..LATELY + MOST as u64 {
            let kept = scene.stock.enter(scene.proc.as_fd());
            scene.stock.free.push_back((scene.stock.sessions, kept));
        }
        assert_eq!(scene.stock.free.len(), 1);
        scene.stock.rest();
        assert!(scene.stock.free.is_empty());
    });
}

#[test]
fn only_a_count_of_nothing_is_empty() {
    let empty = "sockets: used 0\nTCP: inuse 0 orphan 3 tw 0 alloc 9 mem 4\nUDP: inuse 0 mem 0\n";
    assert!(counts_none(empty.as_bytes()));
    for text in [
        empty.replace("used 0", "used 1"),
        empty.replace("used 0", "used 01"),
        empty.replace("inuse 0 orphan", "inuse 2 orphan"),
        empty.replace("tw 0", "tw 1"),
        empty.replace(" tw 0", ""),
        "sockets: used 0".to_string(),
        String::new(),
    ] {
        assert!(!counts_none(text.as_bytes()), "{text}");
    }
    assert!(!counts_none(b"\xff"));
}
