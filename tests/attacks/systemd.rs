// SPDX-License-Identifier: Apache-2.0
//! The same attacks on the command of a socket unit that says `Accept=yes`, under what systemd has against it. systemd
//! is process 1 of a container of systemd-nspawn(1), and the targets are in that container too: what is blocked is
//! blocked by the unit. The network is that of the tests.

use super::aim::Targets;
use super::peers::compare;
use crate::scene::stage::{Room, Running, program, room};
use crate::scene::{Client, host, patience, soon};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What it has for any service of this kind, of which nothing asks for more than the unit itself.
const HARDENED: &str = include_str!("hardened.conf");

/// What can be said of a service only if it is known what it needs: its files, and how much of everything.
const KNOWN: &str = "\
TemporaryFileSystem=/:ro
BindReadOnlyPaths=/usr /lib /lib64 ATTACK
PrivateMounts=yes
NoExecPaths=/
ExecPaths=/usr /lib /lib64 ATTACK
SystemCallFilter=~@resources @setuid @chown @keyring @memlock @sync
SystemCallFilter=~shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl
SystemCallFilter=~mq_open mq_unlink mq_notify mq_getsetattr memfd_create process_vm_readv process_vm_writev
SystemCallFilter=~kcmp userfaultfd io_setup io_uring_setup io_uring_register io_uring_enter name_to_handle_at
SystemCallFilter=~inotify_init inotify_init1 vmsplice get_mempolicy remap_file_pages
SystemCallFilter=~connect bind listen accept accept4
InaccessiblePaths=-/sys -/dev/shm -/var/tmp
IgnoreSIGPIPE=no
SystemCallErrorNumber=EPERM
RuntimeMaxSec=600
LimitCPU=2
LimitNPROC=64
LimitNOFILE=64
LimitFSIZE=1M
LimitDATA=256M
LimitAS=512M
LimitSTACK=8M
LimitCORE=0
LimitMEMLOCK=0
LimitMSGQUEUE=0
LimitSIGPENDING=64
TasksMax=64
MemoryMax=256M
MemorySwapMax=0
CPUQuota=100%
IPAddressDeny=any
SocketBindDeny=any
DevicePolicy=closed
";

/// systemd of the root directory of some Debian, of which only /usr is taken.
pub(super) fn everything(root: &str) {
    let known = HARDENED.to_string() + &KNOWN.replace("ATTACK", &program("attack").display().to_string());
    for (name, service) in
        [("systemd", "User=nobody\n"), ("systemd hardened", HARDENED), ("systemd at its best", &known)]
    {
        let room = room();
        let machine = Machine::boot(&room, root, service);
        let targets = machine.targets(&room);
        let address = machine.address.clone();
        compare(&format!("{name}, TCP"), &|| Client::connect(&address), &targets, 1);
        let socket = format!("unix:{}", room.path("socket").display());
        if takes_us(&room.path("socket")) {
            compare(&format!("{name}, UNIX"), &|| Client::connect(&socket), &targets, 1);
        } else {
            // On the real standard error, which the test runner does not swallow.
            let _ = writeln!(std::io::stderr(), "attacks: {name}, UNIX: its unit fails with a client from outside");
        }
    }
}

/// Whether a client on a UNIX socket gets a command. systemd 257 has the whole unit fail where SO_PEERCRED names
/// nobody, as it does in a container whose processes do not include the client.
fn takes_us(path: &Path) -> bool {
    let client = UnixStream::connect(path).expect("the unit listens");
    client.set_read_timeout(Some(soon())).expect("a time-out can be set");
    // The command waits for what it is to do.
    (&client).read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// A container. Dropping it ends it.
struct Machine {
    // Before the group, which is removed when all in it have ended.
    process: Running,
    address: String,
    _group: Group,
}

impl Machine {
    fn boot(room: &Room, root: &str, service: &str) -> Machine {
        // A unit cannot be told to choose.
        let taken = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = taken.local_addr().expect("it is bound");
        drop(taken);
        let (attack, own) = (program("attack").display().to_string(), room.path("").display().to_string());
        let socket = room.path("socket").display().to_string();
        let bare = "[Unit]\nDefaultDependencies=no\n";
        let listening = format!(
            "{bare}[Socket]\nListenStream={address}\nListenStream={socket}\nAccept=yes\nMaxConnections=600\n\
             MaxConnectionsPerSource=600\nTriggerLimitIntervalSec=0\n"
        );
        let started = format!(
            "{bare}CollectMode=inactive-or-failed\n[Service]\nExecStart={attack}\nStandardInput=socket\n{service}"
        );
        let target = format!("{bare}Requires=attack.socket\n");
        let group = Group::make();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""]).arg(&group.0);
        command.args(["systemd-nspawn", "--quiet", "--volatile=yes", "--register=no", "--keep-unit"]);
        command.args(["--capability=all", "--link-journal=no"]).arg(format!("--directory={root}"));
        command.arg(format!("--machine=attack{}", address.port()));
        command.args([format!("--bind-ro={attack}"), format!("--bind={own}")]);
        for (name, text) in [("attack.socket", listening), ("attack@.service", started), ("attack.target", target)] {
            let file = room.file(name, &text);
            command.arg(format!("--bind-ro={}:/etc/systemd/system/{name}", file.display()));
        }
        command.args(["--boot", "systemd.unit=attack.target", "systemd.firstboot=off", "quiet"]);
        // Its own filter of system calls would answer in the place of the unit's.
        command.env("SYSTEMD_SECCOMP", "0").env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        let log = fs::File::create(room.path("log")).expect("the room can be written");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = Running(command.spawn().expect("systemd-nspawn runs"));
        host::eventually("the container listens", patience(), || TcpStream::connect(address).is_ok());
        Machine { process, address: address.to_string(), _group: group }
    }

    /// What stands for the host, inside.
    fn targets(&self, room: &Room) -> Targets {
        let is_first = |pid: &u32| host::status_of(*pid, "NSpid").is_some_and(|pids| pids.ends_with("\t1"));
        let first = host::tree(self.process.0.id()).into_iter().find(is_first).expect("there is a process 1");
        Targets::make_by(&["nsenter", "--all", "--target", &first.to_string(), "--"], room)
    }
}

/// A control group of its own, in which the container makes what it needs.
struct Group(PathBuf);

impl Group {
    fn make() -> Group {
        let above = host::cgroup_of(std::process::id()).expect("needed by the test");
        let path = above.join(format!("attacks-{}", std::process::id()));
        fs::create_dir(&path).expect("the group is new");
        Group(path)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        for group in host::cgroups_below(&self.0).iter().chain([&self.0]) {
            host::eventually("the group can be removed", patience(), || fs::remove_dir(group).is_ok());
        }
    }
}
