// SPDX-License-Identifier: Apache-2.0
//! The table of steps between the clone and the exec. The child's code, `explain --steps`, the reports and the tests
//! all come from these rows, so they cannot drift.
//! Codes appear in reports and logs and are never used twice.

/// Where a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the launcher, once for each session.
    Launcher,
    /// In the first process of the sandbox, which stays behind as its reaper.
    Reaper,
    /// In the process that becomes the command.
    Command,
}

impl Place {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Place::Launcher => "launcher",
            Place::Reaper => "reaper",
            Place::Command => "command",
        }
    }
}

macro_rules! steps {
    ($($name:ident = $code:literal, $place:ident, $calls:literal, $doing:literal, $reason:literal;)*) => {
        /// A step of the child's line, in the order in which the steps are taken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Step { $(#[doc = $doing] $name = $code,)* }

        impl Step {
            /// Every step, in order.
            pub const ALL: &[Step] = &[$(Step::$name),*];

            /// The step with this code.
            pub fn from_code(code: u8) -> Option<Step> {
                match code { $($code => Some(Step::$name),)* _ => None }
            }

            /// Its name in `explain --steps` and in tests.
            pub fn name(self) -> &'static str { match self { $(Step::$name => stringify!($name),)* } }

            /// Where it is taken.
            pub fn place(self) -> Place { match self { $(Step::$name => Place::$place,)* } }

            /// What it does, to stand after "cannot".
            pub fn doing(self) -> &'static str { match self { $(Step::$name => $doing,)* } }

            /// Why it stands where it stands.
            pub fn reason(self) -> &'static str { match self { $(Step::$name => $reason,)* } }

            /// The system calls it makes, as strace(1) names them, separated by blanks.
            pub fn calls(self) -> &'static str { match self { $(Step::$name => $calls,)* } }
        }
    };
}

steps! {
    Clone = 10, Launcher, "clone3 clone openat write unshare",
        "make the sandbox's first process", "its namespaces and its cgroup are there from its first instruction";
    Keyring = 20, Reaper, "keyctl",
        "join an empty session keyring", "the keyring of the supervisor would be inherited";
    Loopback = 30, Reaper, "socket ioctl close",
        "bring loopback up", "while the right to configure the network namespace is there";
    Scratch = 40, Reaper, "mount",
        "mount the scratch file system", "it is this session's own; after the identity it could not be mounted";
    Proc = 41, Reaper, "mount",
        "mount /proc", "a proc mount belongs to the PID namespace of the process that mounts it";
    PidLimits = 50, Reaper, "readlinkat openat write close",
        "limit the PID namespace", "written through the host's /proc while the rights are there";
    Directory = 60, Reaper, "chdir",
        "enter the working directory", "inside the new root, before the ids change";
    Umask = 61, Reaper, "umask",
        "set the file mode creation mask", "before anything of the command's can make a file";
    Identity = 70, Reaper, "prctl setgroups setresgid setresuid setfsuid",
        "take on the command's identity", "saved id and rights stay until the maps of the user namespace are written";
    UserNamespace = 80, Reaper, "unshare setns openat write close",
        "enter a user namespace", "after the ids, so that it belongs to the command's user and maps no one else";
    Relay = 85, Reaper, "socketpair fcntl clone close",
        "make the relay's process", "it stays in the host's network, which the next step leaves";
    Network = 86, Reaper, "unshare socket ioctl bind poll listen sendmsg close recvfrom",
        "enter a network namespace of its own with the forwarded peers",
        "after the relay is there, while the right to configure it is";
    Limits = 90, Reaper, "prlimit64",
        "set the resource limit", "the kernel counts tasks and queues in the user namespace";
    BoundingSet = 100, Reaper, "prctl",
        "drop a capability for good", "a new user namespace fills the bounding set again";
    Securebits = 101, Reaper, "prctl",
        "lock the securebits", "a new user namespace clears them";
    Rights = 110, Reaper, "setresuid capset prctl getresuid getresgid capget prctl poll",
        "give up every right", "after the last step that needs one; read back";
    NoNewPrivileges = 111, Reaper, "prctl",
        "set no_new_privs", "Landlock and seccomp ask for it";
    WriteExecute = 112, Reaper, "prctl",
        "deny memory that is writable and executable", "the command inherits it";
    Landlock = 120, Reaper, "landlock_restrict_self",
        "enforce the Landlock ruleset", "after the last mount, which a domain may not make";
    CloseFds = 130, Reaper, "dup3 close_range",
        "close every other descriptor", "after the last step that uses a prepared one";
    Fork = 140, Reaper, "rt_sigprocmask signalfd4 prctl socketpair clone fcntl execveat",
        "make the command's process", "the reaper stays behind, confined like the command";
    Domain = 145, Command, "landlock_restrict_self close",
        "enter a Landlock domain inside the reaper's", "it cannot signal the reaper, which can kill it";
    Session = 150, Command, "setsid",
        "start a new session", "no controlling terminal, and a process group of its own";
    Signals = 151, Command, "rt_sigaction rt_sigprocmask",
        "set the signal dispositions", "ignored signals and the mask survive exec";
    Handover = 160, Command, "recvmsg",
        "receive the connection", "all that needs no connection is done";
    Exchange = 162, Command, "getsockopt newfstatat fcntl socketpair sendmsg close",
        "give the connection to the relay", "the command must not have a socket of the host's network";
    // 161 was its code while no step was before it.
    Stdio = 163, Command, "dup2",
        "attach the connection to standard input, output and error", "last, so that no step before has used 0, 1, 2";
    Seccomp = 170, Command, "seccomp sendmsg",
        "enforce the system call filter", "last, so that it need not allow a step above";
    Exec = 180, Command, "execve",
        "execute the command", "the sandbox is complete";
}
