// SPDX-License-Identifier: Apache-2.0
//! The words of a policy file that stand for one of a few things, each with its meaning.
//! A table for each kind: reading, "did you mean" and printing all use the same one.

use super::model::{
    ClientNames, Device, Ends, HostName, Layer, Level, Namespace, NetworkMode, OnDeny, Proc, RootWord, StandardError,
};
use nix::sys::signal::Signal;

/// A kind of thing that a policy names by a word.
pub trait Word: Copy + PartialEq + Sized + 'static {
    /// Every word and what it stands for.
    fn words() -> Vec<(&'static str, Self)>;

    /// What `word` stands for.
    fn from_word(word: &str) -> Option<Self> {
        Self::words().into_iter().find(|(name, _)| *name == word).map(|(_, value)| value)
    }

    /// The word for it; every value has one.
    fn word(self) -> &'static str {
        Self::words().into_iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }
}

macro_rules! words {
    ($($kind:ident { $($word:literal = $value:ident),* })*) => {
        $(impl Word for $kind {
            fn words() -> Vec<(&'static str, Self)> {
                // A new variant does not compile until it has a word.
                match $kind::ALL_WORDS[0].1 { $($kind::$value => {})* }
                $kind::ALL_WORDS.to_vec()
            }
        }
        impl $kind { const ALL_WORDS: &'static [(&'static str, Self)] = &[$(($word, $kind::$value)),*]; })*
    };
}

words! {
    RootWord { "empty" = Empty, "host" = Host }
    Proc { "none" = None, "subset" = Subset, "full" = Full }
    NetworkMode { "none" = None, "loopback" = Loopback, "host" = Host }
    OnDeny { "errno" = Errno, "kill" = Kill, "report" = Report, "report-all" = ReportAll }
    Level { "full" = Full, "userns" = Userns, "landlock-only" = LandlockOnly }
    Layer { "required" = Required, "off" = Off }
    Ends { "command" = Command, "tree" = Tree }
    ClientNames { "tcpserver" = Tcpserver, "xinetd" = Xinetd, "systemd" = Systemd }
    HostName { "hidden" = Hidden, "host" = Host }
    StandardError { "connection" = Connection, "none" = None, "log" = Log }
}

impl Word for Device {
    fn words() -> Vec<(&'static str, Self)> {
        Device::ALL.map(|device| (device.name(), device)).to_vec()
    }
}

impl Word for Namespace {
    fn words() -> Vec<(&'static str, Self)> {
        Namespace::ALL.map(|namespace| (namespace.name(), namespace)).to_vec()
    }
}

/// A signal that a command can find ignored, by its name without `SIG`.
impl Word for Signal {
    fn words() -> Vec<(&'static str, Self)> {
        let can_be_ignored = |signal: &Signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP);
        Signal::iterator().filter(can_be_ignored).map(|signal| (&signal.as_str()["SIG".len()..], signal)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<W: Word + std::fmt::Debug>(expected: &[&str]) {
        let words: Vec<_> = W::words().iter().map(|(word, _)| *word).collect();
        assert_eq!(words, expected);
        for (word, value) in W::words() {
            assert_eq!(W::from_word(word), Some(value));
            assert_eq!(value.word(), word);
        }
    }

    #[test]
    fn a_word_that_is_not_in_the_table_is_nothing() {
        for word in ["", "Empty", "empty ", "hos"] {
            assert_eq!(RootWord::from_word(word), None, "{word}");
        }
    }

    #[test]
    fn a_signal_that_cannot_be_ignored_has_no_word() {
        for word in ["KILL", "STOP", "SIGPIPE", "pipe"] {
            assert_eq!(Signal::from_word(word), None, "{word}");
        }
        assert_eq!(Signal::from_word("PIPE"), Some(Signal::SIGPIPE));
    }

    #[test]
    fn every_word_has_its_meaning() {
        check::<RootWord>(&["empty", "host"]);
        check::<Proc>(&["none", "subset", "full"]);
        check::<NetworkMode>(&["none", "loopback", "host"]);
        check::<OnDeny>(&["errno", "kill", "report", "report-all"]);
        check::<Level>(&["full", "userns", "landlock-only"]);
        check::<Layer>(&["required", "off"]);
        check::<Ends>(&["command", "tree"]);
        check::<ClientNames>(&["tcpserver", "xinetd", "systemd"]);
        check::<HostName>(&["hidden", "host"]);
        check::<StandardError>(&["connection", "none", "log"]);
        check::<Device>(&["null", "zero", "full", "random", "urandom"]);
        check::<Namespace>(&["mount", "pid", "network", "ipc", "uts", "cgroup", "user"]);
    }
}
