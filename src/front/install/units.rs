// SPDX-License-Identifier: Apache-2.0
//! Where systemd's units are on this host: those that start Postfix are read, ours are written beside them.

use super::change::{Change, Kind, NewFile};
use super::unit::{self, DROP_IN, POSTFIX, SESSIONS, Settings};
use crate::front::output::Output;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where an administrator's units are.
const DIRECTORY: &str = "/etc/systemd/system";
/// Where units are looked for, the first one wins: see systemd.unit(5).
const SEARCH: [&str; 5] = [
    DIRECTORY,
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What to do about a complaint.
pub(in crate::front) const WAY_OUT: &str =
    "`spawnbox install-postfix` writes the drop-in that allows it; then `systemctl restart postfix`";

/// The units of this host.
pub(in crate::front) struct Units {
    /// Where ours are written.
    directory: PathBuf,
    search: Vec<PathBuf>,
    manager: Manager,
}

/// Whether a systemd is there to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Runs,
    /// A directory was named: it may be an image's, and is nothing that runs here.
    Elsewhere,
}

impl Units {
    /// The host's own, where systemd runs, or those of a directory that was named.
    pub(in crate::front) fn find(directory: Option<&Path>) -> Option<Units> {
        let search = SEARCH.iter().map(PathBuf::from);
        match directory {
            Some(directory) => {
                let (directory, search) = (directory.to_path_buf(), vec![directory.to_path_buf()]);
                Some(Units { directory, search, manager: Manager::Elsewhere })
            }
            // What sd_booted(3) looks at.
            None if Path::new("/run/systemd/system").is_dir() => {
                Some(Units { directory: DIRECTORY.into(), search: search.collect(), manager: Manager::Runs })
            }
            None => None,
        }
    }

    /// Every file of ours that is not there already, below the administrator's units, as a package has them.
    pub(super) fn files(&self) -> Vec<NewFile> {
        let text = |path, text: String| NewFile { path, bytes: text.into_bytes(), mode: 0o644, kind: Kind::Text };
        let mut files = Vec::new();
        if !self.packaged(SESSIONS) {
            files.push(text(self.sessions(), unit::sessions()));
        }
        for name in self.postfix() {
            let settings = self.settings(name, Ours::LeftOut);
            // The package's allows nothing: what Postfix is allowed is for who runs this to say.
            if !self.packaged(&format!("{name}.d/{DROP_IN}")) || !settings.withheld().is_empty() {
                files.push(text(self.drop_in(name), unit::drop_in(&settings)));
            }
        }
        files
    }

    /// Whether a file of this name is below the administrator's.
    fn packaged(&self, name: &str) -> bool {
        self.search.iter().filter(|place| **place != self.directory).any(|place| place.join(name).is_file())
    }

    /// Every place where a file of ours may be.
    pub(super) fn places(&self) -> Vec<PathBuf> {
        POSTFIX.iter().map(|name| self.drop_in(name)).chain([self.sessions()]).collect()
    }

    /// What makes a running systemd take the files over.
    pub(super) fn start(&self, written: bool) -> Vec<Change> {
        match (self.manager, written) {
            (Manager::Runs, true) => vec![systemctl(&["daemon-reload"]), systemctl(&["start", SESSIONS])],
            (Manager::Runs, false) | (Manager::Elsewhere, _) => Vec::new(),
        }
    }

    /// What makes a running systemd forget the unit, before its file goes. Ends what still runs in it.
    pub(super) fn stop(&self) -> Vec<Change> {
        match self.manager {
            Manager::Runs => vec![systemctl(&["stop", SESSIONS])],
            Manager::Elsewhere => Vec::new(),
        }
    }

    /// What makes a running systemd see that files are gone.
    pub(super) fn reload(&self) -> Vec<Change> {
        match self.manager {
            Manager::Runs => vec![systemctl(&["daemon-reload"])],
            Manager::Elsewhere => Vec::new(),
        }
    }

    /// What the administrator should know of the units that start Postfix.
    pub(super) fn advise(&self, touched: impl Fn(&Path) -> bool, output: &mut Output) {
        let postfix = self.postfix();
        if postfix.is_empty() {
            output
                .line(format_args!("\nNo unit of {} is here: start {SESSIONS} before Postfix.", POSTFIX.join(" or ")));
        }
        let restart: Vec<&str> = postfix.iter().copied().filter(|name| touched(&self.drop_in(name))).collect();
        if !restart.is_empty() && self.manager == Manager::Runs {
            output.line("\nFor the drop-in to hold:\n    systemctl restart postfix.service");
        }
        let strict = postfix.into_iter().filter(|name| self.settings(name, Ours::LeftOut).denies_write_execute());
        let strict: Vec<&str> = strict.collect();
        if !strict.is_empty() {
            output.line(format_args!(
                "\nMemoryDenyWriteExecute= of {} holds for commands too: one that compiles at run time\n\
                 (java, node, php) fails under it.",
                strict.join(" and ")
            ));
        }
    }

    /// What the units that start Postfix still withhold: a sentence for each.
    pub(in crate::front) fn complaints(&self) -> Vec<String> {
        self.postfix().into_iter().filter_map(|name| self.complaint(name)).collect()
    }

    /// The same of the unit that this process is in.
    pub(in crate::front) fn own_complaint(&self) -> Option<String> {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        self.postfix().into_iter().find(|name| unit::holds(name, &groups)).and_then(|name| self.complaint(name))
    }

    fn complaint(&self, name: &str) -> Option<String> {
        let keys: Vec<_> = self.settings(name, Ours::Counted).withheld().iter().map(|one| one.key).collect();
        (!keys.is_empty()).then(|| format!("{name} withholds what a sandbox needs: {}=", keys.join("=, ")))
    }

    /// The units that are there.
    fn postfix(&self) -> Vec<&'static str> {
        POSTFIX.into_iter().filter(|name| self.text(name).is_some()).collect()
    }

    /// A unit's own text. An empty file or a link to /dev/null masks it.
    fn text(&self, name: &str) -> Option<String> {
        let found = self.search.iter().find_map(|directory| fs::read_to_string(directory.join(name)).ok());
        found.filter(|text| !text.trim().is_empty())
    }

    fn settings(&self, name: &str, ours: Ours) -> Settings {
        // Of drop-ins with one name the first directory's counts; all are read in the order of their names.
        let mut drop_ins = BTreeMap::new();
        for directory in self.search.iter().rev() {
            let entries = fs::read_dir(directory.join(format!("{name}.d"))).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "conf")) {
                drop_ins.insert(entry.file_name(), fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
        if ours == Ours::LeftOut {
            drop_ins.retain(|_, text| !unit::is_ours(text.as_bytes()));
        }
        let unit = self.text(name).unwrap_or_default();
        Settings::read([&unit].into_iter().chain(drop_ins.values()).map(String::as_str))
    }

    /// Where our unit is, if it is there.
    pub(super) fn sessions(&self) -> PathBuf {
        self.directory.join(SESSIONS)
    }

    fn drop_in(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.d")).join(DROP_IN)
    }
}

/// Whether our own drop-in counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    Counted,
    LeftOut,
}

fn systemctl(words: &[&str]) -> Change {
    Change::Run(["systemctl"].iter().chain(words).map(|word| (*word).to_string()).collect())
}
