// SPDX-License-Identifier: Apache-2.0
//! One row: a service of master.cf, the sentence that it proves, and how that is seen.
//! Knows nothing about who serves it. In its texts `@name` stands for the row's name, `@spawn` for the daemon's,
//! `@room` for a directory that everyone can read, `@spool` for one that everyone can write and `@script` for the row's
//! script.

use super::at::At;
use std::sync::Arc;

/// What is looked at; it panics where it does not see what it should.
type Check = Arc<dyn Fn(&At<'_>) + Send + Sync>;

/// A row of the contract.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) name: String,
    /// The sentence of the manual or the contract.
    pub(super) proves: &'static str,
    columns: String,
    options: String,
    attributes: String,
    entries: Option<String>,
    pub(super) script: Option<String>,
    /// Lines of main.cf that concern no other row.
    pub(super) settings: String,
    /// A mail system of its own.
    pub(super) alone: bool,
    checks: Vec<Check>,
    /// What ours does instead, where that is better.
    instead: Vec<Check>,
}

/// A row: a service that serves UNIX-domain clients with cat.
pub(super) fn row(name: &str, proves: &'static str) -> Row {
    Row {
        name: name.to_string(),
        proves,
        columns: "unix - n n - 0".to_string(),
        options: String::new(),
        attributes: "user=nobody argv=/bin/cat".to_string(),
        entries: None,
        script: None,
        settings: String::new(),
        alone: false,
        checks: Vec::new(),
        instead: Vec::new(),
    }
}

impl Row {
    /// The attributes: who runs what.
    pub(super) fn runs(mut self, attributes: &str) -> Row {
        self.attributes = attributes.to_string();
        self
    }

    /// A shell runs this.
    pub(super) fn script(mut self, text: &str) -> Row {
        self.script = Some(text.to_string());
        self.runs("user=nobody argv=/bin/sh @script")
    }

    /// Options before the attributes.
    pub(super) fn options(mut self, options: &str) -> Row {
        self.options = options.to_string();
        self
    }

    /// The columns between name and command.
    pub(super) fn columns(mut self, columns: &str) -> Row {
        self.columns = columns.to_string();
        self
    }

    /// All of the entry, or several.
    pub(super) fn entries(mut self, entries: &str) -> Row {
        self.entries = Some(entries.to_string());
        self
    }

    /// Lines of main.cf.
    pub(super) fn settings(mut self, lines: &str) -> Row {
        self.settings = lines.to_string();
        self
    }

    /// Needs a mail system of its own: lines of main.cf that concern others, signals to master, changes to its files.
    pub(super) fn alone(mut self) -> Row {
        self.alone = true;
        self
    }

    /// A client that sends nothing gets exactly this.
    pub(super) fn prints(self, text: &str) -> Row {
        let text = text.to_string();
        self.sees(move |at| assert_eq!(at.answer(), at.fill(&text)))
    }

    /// The daemon logs this; `*` stands for anything.
    pub(super) fn says(self, text: &str) -> Row {
        let text = text.to_string();
        self.sees(move |at| drop(at.says(&text)))
    }

    /// The first client sees the end, the daemon logs this, and master starts no other for a while.
    pub(super) fn refused(self, text: &str) -> Row {
        let text = format!("fatal: {text}");
        self.prints("").sees(move |at| {
            let pid = at.pid_of(&at.says(&text));
            at.master_says(&format!("warning: process *daemons/@spawn pid {pid} exit status 1"));
        })
    }

    /// The daemon ends at its start: its client is not accepted.
    pub(super) fn ends(self, text: &str) -> Row {
        let text = format!("fatal: {text}");
        self.sees(move |at| {
            let client = at.client();
            let pid = at.pid_of(&at.anyone_says(&text));
            at.master_says(&format!("warning: process *daemons/@spawn pid {pid} exit status 1"));
            assert!(!at.is_over(&client), "somebody accepted the client");
        })
    }

    /// Anything else that can be seen.
    pub(super) fn sees(mut self, check: impl Fn(&At<'_>) + Send + Sync + 'static) -> Row {
        self.checks.push(Arc::new(check));
        self
    }

    /// Where ours differs and is better: what it does.
    pub(super) fn instead(mut self, check: impl Fn(&At<'_>) + Send + Sync + 'static) -> Row {
        self.instead.push(Arc::new(check));
        self
    }

    /// The row of what ours does instead, with a service of its own.
    pub(super) fn twin(&self) -> Option<Row> {
        let (name, checks) = (format!("{}.ours", self.name), self.instead.clone());
        (!checks.is_empty()).then(|| Row { name, checks, instead: Vec::new(), ..self.clone() })
    }

    /// Its part of master.cf.
    pub(super) fn entry(&self) -> String {
        let Row { columns, options, attributes, .. } = self;
        let usual = format!("@name {columns} @spawn -o syslog_name=@name {options} {attributes}");
        format!("{}\n", self.entries.as_ref().unwrap_or(&usual))
    }

    /// Looks at everything; panics at the first that is not as it should be.
    pub(super) fn play(&self, at: &At<'_>) {
        self.checks.iter().for_each(|check| check(at));
    }
}
