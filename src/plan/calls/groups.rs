// SPDX-License-Identifier: Apache-2.0
//! The words of `[syscalls]`: our groups, and the calls that no group grants.
//! Data only. What arguments a call may have is in `rules`; what becomes of a call is decided in `calls`.

use super::rules::{self, Rule};

/// A word that stands for several calls.
pub(super) struct Group {
    /// As a policy spells it.
    pub name: &'static str,
    /// Names of groups in it, separated by blanks. Kept apart from the calls: `time` and `chown` are both.
    pub groups: &'static str,
    /// Names of its own calls, separated by white space.
    pub calls: &'static str,
    /// Rules of this group that stand in place of the common ones.
    pub rules: &'static [(&'static str, Rule)],
    /// Whether it grants calls of [`NEVER`] as well: only where the group exists for them.
    pub reach: Reach,
}

/// Which calls a group can grant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// None of [`NEVER`].
    Ordinary,
    /// Those it names, whichever they are.
    Named,
}

pub(super) const fn group(name: &'static str, calls: &'static str) -> Group {
    Group { name, groups: "", calls, rules: &[], reach: Reach::Ordinary }
}

pub(super) const fn ruled(name: &'static str, calls: &'static str, rules: &'static [(&'static str, Rule)]) -> Group {
    Group { name, groups: "", calls, rules, reach: Reach::Ordinary }
}

/// What ordinary programs call: the groups that `default` stands for.
pub(super) const DEFAULT: &str = "io files files-write memory process identity signals time connection sandbox";

/// Our own groups. The first ones are `default`'s.
pub(super) const GROUPS: &[Group] = &[
    Group { name: "default", groups: DEFAULT, calls: "", rules: &[], reach: Reach::Ordinary },
    group(
        "io",
        "read write readv writev pread64 pwrite64 preadv pwritev lseek close close_range dup dup2 dup3 fcntl flock
         fsync fdatasync ftruncate truncate fallocate fadvise64 sendfile copy_file_range splice tee pipe pipe2
         poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
         eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime signalfd signalfd4 ioctl",
    ),
    group(
        "files",
        "open openat creat access faccessat faccessat2 stat fstat lstat newfstatat statx statfs fstatfs
         readlink readlinkat getdents getdents64 getcwd chdir fchdir umask
         getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr",
    ),
    group(
        "files-write",
        "mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat
         chmod fchmod fchmodat utime utimes utimensat futimesat",
    ),
    group("memory", "brk mmap mprotect munmap mremap madvise msync mincore membarrier"),
    group(
        "process",
        "execve execveat exit exit_group wait4 waitid fork vfork clone set_tid_address set_robust_list
         get_robust_list rseq arch_prctl gettid getpid getppid getpgid getpgrp setpgid getsid setsid
         kill tkill tgkill pidfd_open pidfd_send_signal futex sched_yield sched_getaffinity getcpu
         prlimit64 getrlimit getrusage times sysinfo uname prctl restart_syscall personality",
    ),
    group("identity", "getuid geteuid getgid getegid getresuid getresgid getgroups capget"),
    group(
        "signals",
        "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigpending rt_sigtimedwait rt_sigqueueinfo
         sigaltstack pause",
    ),
    group(
        "time",
        "alarm getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun timer_delete
         nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time getrandom",
    ),
    group(
        "connection",
        "recvfrom recvmsg sendto sendmsg recvmmsg sendmmsg shutdown getsockopt setsockopt getsockname getpeername
         socketpair",
    ),
    group("sandbox", "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp"),
    // From here on: only for those who ask.
    ruled("resolve", "socket connect bind sendto setsockopt", rules::RESOLVE),
    ruled("network-client", "socket connect bind sendto setsockopt", rules::INTERNET),
    ruled("network-server", "socket connect bind listen accept accept4 sendto setsockopt", rules::INTERNET),
    ruled("unix-client", "socket socketpair connect sendto", rules::UNIX),
    // After those that have all of it.
    ruled("tcp-client", "socket connect setsockopt", rules::TCP),
    group(
        "threads-realtime",
        "sched_setscheduler sched_getscheduler sched_setparam sched_getparam sched_setattr sched_getattr
         sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_setaffinity
         setpriority getpriority ioprio_set ioprio_get mlock mlock2 mlockall munlock munlockall",
    ),
    group("ipc-sysv", "shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl"),
    // mkfifo(3) and nothing else that mknod(2) makes: the other kinds reach further than a name in a directory.
    ruled("fifo", "mknod mknodat", rules::FIFO),
    // A just-in-time compiler: `plan` also drops the denial of writable and executable memory.
    group("jit", "memfd_create pkey_alloc pkey_free pkey_mprotect"),
    Group {
        name: "trace",
        groups: "",
        calls: "ptrace process_vm_readv process_vm_writev kcmp prctl",
        rules: rules::TRACE,
        reach: Reach::Named,
    },
    group("chown", "chown fchown lchown fchownat"),
    group("xattr-write", "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr"),
];

/// Not a group that could be allowed; it may be denied, as a word for what is refused anyway.
pub(super) const IO_URING_CALLS: Group = group("io-uring", "io_uring_setup io_uring_enter io_uring_register");

/// Calls that no honest command without privilege makes: they end it, unless the policy names the call itself.
pub(super) const NEVER: &str = "
    bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register
    ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd
    mount umount2 pivot_root chroot open_tree open_tree_attr move_mount fsopen fsconfig fsmount fspick mount_setattr
    setns unshare init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct
    quotactl quotactl_fd open_by_handle_at name_to_handle_at add_key keyctl request_key iopl ioperm modify_ldt
    settimeofday clock_settime clock_adjtime adjtimex syslog vhangup lookup_dcookie nfsservctl uselib fanotify_init
    move_pages migrate_pages mbind set_mempolicy set_mempolicy_home_node memfd_secret";

/// Calls that libc and others try first and do without when the kernel is too old for them: ENOSYS makes them fall
/// back, where EPERM would be final (`ls` on statx, thread creation on clone3).
pub(super) const PROBED: &str = "
    clone3 statx faccessat2 openat2 copy_file_range close_range pidfd_open epoll_pwait2 futex_waitv futex_wake
    futex_wait futex_requeue rseq fchmodat2 mseal landlock_create_ruleset landlock_add_rule landlock_restrict_self
    preadv2 pwritev2 renameat2 mlock2 membarrier getrandom cachestat map_shadow_stack process_mrelease
    statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules
    setxattrat getxattrat listxattrat removexattrat file_getattr file_setattr";

/// Without these the command could not be executed, or a failure of that not be reported. They cannot be denied.
pub(super) const FLOOR: &str = "execve exit_group write";

/// Calls whose dangerous arguments are behind a pointer: granted to those who name them (or `all`), by no group.
pub(super) const BLIND: &str = "openat2";

/// Words that are refused in `allow`, with the reason.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("io-uring", IO_URING),
    ("@aio", IO_URING),
    ("io_uring_setup", IO_URING),
    ("io_uring_enter", IO_URING),
    ("io_uring_register", IO_URING),
    ("clone3", "its flags are behind a pointer, where no filter sees them; libc falls back to clone"),
];

const IO_URING: &str = "what io_uring does passes by every system call filter";
