// SPDX-License-Identifier: Apache-2.0
//! How each system call of the supervisor and of the launcher can fail. A call that is not here fails the test: nobody
//! has thought about it yet.

use nix::errno::Errno;

/// What is known about a call.
pub(super) enum Failure {
    /// It can fail so, by its manual page or by what the kernel's allocations, limits and security modules do.
    With(&'static [Errno]),
    /// No failure is injected, for this reason.
    Never(&'static str),
}

use Errno::{
    EACCES, EAGAIN, EBUSY, ECONNABORTED, ECONNRESET, EDQUOT, EEXIST, EFAULT, EINTR, EINVAL, EIO, EMFILE, ENFILE,
    ENOBUFS, ENODEV, ENOENT, ENOMEM, ENOSPC, ENOTCONN, EPERM, EPIPE, ETOOMANYREFS,
};

/// How this call can fail.
pub(super) fn failure(call: &str) -> Option<Failure> {
    use Failure::{Never, With};
    Some(match call {
        "accept4" => With(&[EMFILE, ENFILE, ENOMEM, ENOBUFS, ECONNABORTED, EINTR, EAGAIN, EPERM]),
        "open" | "openat" => With(&[EMFILE, ENFILE, ENOMEM, EACCES, ENOENT, EINTR, EIO]),
        "openat2" => With(&[EMFILE, ENFILE, ENOMEM, EAGAIN, EACCES]),
        "socket" | "socketpair" => With(&[EMFILE, ENFILE, ENOMEM, ENOBUFS, EACCES]),
        "epoll_create1" | "signalfd4" | "pidfd_open" => With(&[EMFILE, ENFILE, ENOMEM]),
        "epoll_ctl" => With(&[ENOMEM, ENOSPC]),
        "epoll_wait" => With(&[EINTR]),
        "poll" => With(&[EINTR, ENOMEM]),
        "sendmsg" => With(&[ENOMEM, ENOBUFS, EAGAIN, ETOOMANYREFS, EPIPE, ECONNRESET]),
        "recvmsg" => With(&[ENOMEM, ENOBUFS, EINTR, EAGAIN]),
        "sendto" => With(&[ENOMEM, ENOBUFS, EAGAIN, EPIPE, ECONNRESET]),
        "recvfrom" => With(&[ENOMEM, ENOBUFS, EINTR, EAGAIN]),
        "mkdirat" | "mkdir" => With(&[ENOMEM, EAGAIN, ENOSPC, EACCES, EEXIST, EIO]),
        "unlinkat" | "rmdir" => With(&[EBUSY, ENOMEM, EACCES, EIO]),
        "read" | "pread64" => With(&[EIO, EINTR, ENOMEM]),
        "write" => With(&[EINTR, EAGAIN, ENOSPC, EIO, EPIPE]),
        "wait4" | "waitid" => With(&[EINTR]),
        "clone" | "clone3" | "fork" | "vfork" => With(&[EAGAIN, ENOMEM, ENOSPC, EPERM]),
        "pidfd_send_signal" | "kill" => With(&[EPERM, ENOMEM]),
        "prlimit64" => With(&[EPERM]),
        "setsockopt" | "getsockopt" => With(&[ENOMEM, ENOBUFS]),
        "getsockname" | "getpeername" => With(&[ENOBUFS, ENOTCONN]),
        "shutdown" => With(&[ENOTCONN]),
        "statx" | "newfstatat" | "fstat" | "lstat" | "stat" | "access" | "faccessat2" | "readlink" | "readlinkat" => {
            With(&[ENOMEM, EACCES, EIO])
        }
        "getdents64" | "lseek" => With(&[EIO, ENOMEM]),
        "getxattr" => With(&[EIO, ENOMEM, EACCES]),
        "fstatfs" | "statfs" => With(&[EIO, ENOMEM]),
        "flock" => With(&[EINTR, ENOMEM, EAGAIN]),
        "bind" => With(&[EACCES, EPERM, ENOMEM, ENOSPC]),
        "listen" | "connect" => With(&[ENOMEM, EACCES, EAGAIN]),
        "landlock_create_ruleset" | "landlock_add_rule" => With(&[ENOMEM, EMFILE]),
        "landlock_restrict_self" => With(&[ENOMEM]),
        "seccomp" => With(&[ENOMEM, EINVAL]),
        "unshare" | "setns" => With(&[ENOMEM, ENOSPC, EPERM]),
        "fsopen" | "fsmount" | "open_tree" => With(&[EMFILE, ENFILE, ENOMEM, EPERM, ENODEV]),
        "fsconfig" | "move_mount" | "mount_setattr" | "mount" | "umount2" | "pivot_root" => {
            With(&[ENOMEM, EPERM, EBUSY, EINVAL])
        }
        "memfd_create" => With(&[EMFILE, ENFILE, ENOMEM, EACCES]),
        "fchmod" => With(&[EPERM, ENOMEM]),
        "execveat" => With(&[EACCES, ENOMEM]),
        "symlinkat" | "mknodat" => With(&[ENOMEM, ENOSPC, EEXIST, EIO]),
        "dup" | "dup2" | "dup3" => With(&[EMFILE, EBUSY, EINTR]),
        "close_range" => With(&[EMFILE, ENOMEM]),
        "chdir" | "fchdir" => With(&[EACCES, ENOMEM, EIO]),
        "setsid" | "sethostname" | "setdomainname" => With(&[EPERM]),
        "prctl" => With(&[EPERM, EINVAL]),
        "uname" | "getgroups" => With(&[EFAULT]),
        "keyctl" => With(&[EDQUOT, ENOMEM]),
        "capget" | "capset" | "setfsuid" | "getresuid" | "getresgid" => With(&[EPERM]),
        "setgroups" | "setresuid" | "setresgid" | "setuid" | "setgid" => With(&[EAGAIN, EPERM]),
        // Of its commands, duplicates and flags are ours; std asks for the flags of a descriptor before it closes it.
        "fcntl" => With(&[EMFILE, ENOMEM, EAGAIN]),
        "ioctl" => With(&[EPERM, ENOMEM]),
        "close" => Never("the kernel lets the descriptor go whatever it answers, and an injected failure would not"),
        "brk" | "mmap" | "mprotect" | "munmap" | "mremap" | "madvise" => {
            Never("a program that gets no memory for itself aborts, and its sessions end with it")
        }
        "rt_sigaction" | "rt_sigprocmask" | "sigaltstack" | "rt_sigreturn" | "restart_syscall" => {
            Never("fails for wrong arguments alone")
        }
        "getpid" | "gettid" | "getuid" | "geteuid" | "getgid" | "getegid" | "umask" | "getppid" | "getsid" => {
            Never("cannot fail, by its manual page")
        }
        "futex" | "getrandom" | "sched_getaffinity" | "clock_gettime" | "clock_nanosleep" | "nanosleep" | "alarm" => {
            Never("the C library and std take a failure for an interruption, or for a bug")
        }
        "execve" | "exit" | "exit_group" | "arch_prctl" | "set_tid_address" | "set_robust_list" | "rseq" => {
            Never("of the process's own beginning and end")
        }
        _ => return None,
    })
}

/// As strace would not inject it.
pub(super) fn errnos(call: &str) -> &'static [Errno] {
    match failure(call) {
        Some(Failure::With(errnos)) => errnos,
        Some(Failure::Never(reason)) => {
            assert!(!reason.is_empty());
            &[]
        }
        None => panic!("nobody has thought of {call} failing: see tests/faults/calls.rs"),
    }
}
