// SPDX-License-Identifier: Apache-2.0
//! `${service}` and `${user}`: what a policy's texts become for one service.
//! Whoever fills them in knows the service; a policy that was not filled in is a type of its own, which nothing plans.

use super::address::{Address, LONGEST_PATH, UnixAddress};
use super::check::{RootPath, path};
use super::diagnose::{InputError, Mistake};
use super::model::{Entry, Policy, Root, Scratch, User};
use super::origin::{Origin, Sourced};
use super::{listen, read};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A policy as it is written: names may still stand for those of a service.
// No Deref: what is in it may be no path at all before it is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written(Policy);

/// What is known of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    /// Its name.
    pub service: &'a str,
    /// The user that `master.cf` names, who wins over the policy's.
    pub user: Option<&'a str>,
    /// Whom to take where neither names one, for whoever only looks. A command is not started so: there it is refused.
    pub stand_in: Option<&'a str>,
}

/// A text that something was filled in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// As it is written.
    pub written: String,
    /// What it says for this service.
    pub became: String,
    /// Where it is written.
    pub origin: Origin,
}

impl Filled {
    /// Whether it depends on what the service is called.
    pub fn names_service(&self) -> bool {
        names(&self.written, Variable::Service)
    }

    /// Whether it depends on the user.
    pub fn names_user(&self) -> bool {
        names(&self.written, Variable::User)
    }
}

/// What an editor says of a value in which names can stand.
#[cfg(test)]
pub(super) const SUMMARY: &str =
    "${service} stands for the name of the service, ${user} for its user, and $${ for ${ itself";

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    Service,
    User,
}

/// A stretch of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Variable(Variable),
}

impl Written {
    pub(super) fn new(policy: Policy) -> Self {
        Written(policy)
    }

    /// File stem or built-in name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The policy of this service.
    pub fn fill(self, known: Known<'_>) -> Result<Policy, InputError> {
        let mut filler = Filler { known, user: None, filled: Vec::new(), mistakes: Vec::new(), policy: &self.0 };
        let mut policy = self.0.clone();
        let command = &mut policy.command;
        if let Some(Sourced { value: User::Account(name), origin }) = &mut command.user {
            *name = filler.account(name, origin);
        }
        filler.user = match (&known.user, &command.user) {
            (Some(user), _) => Some((*user).to_owned()),
            (None, Some(Sourced { value: User::Account(name), .. })) => Some(name.clone()),
            (None, Some(Sourced { value: User::Range(_), .. })) => None,
            (None, None) => known.stand_in.map(str::to_owned),
        };
        if let Some(group) = &mut command.group {
            group.value = filler.account(&group.value, &group.origin);
        }
        if let Some(Sourced { value, origin }) = &mut command.argv {
            value.iter_mut().for_each(|word| *word = filler.text(word, origin));
        }
        if let Some(Sourced { value, origin }) = &mut command.directory {
            *value = filler.path(value, origin, RootPath::Allowed);
        }
        for Sourced { value, origin } in command.environment.values_mut() {
            *value = filler.text(value, origin);
        }
        let files = &mut policy.files;
        if let Some(Sourced { value: Root::Image(path), origin }) = &mut files.root {
            *path = filler.path(path, origin, RootPath::Refused);
        }
        for list in [&mut files.read, &mut files.execute, &mut files.write] {
            *list = filler.entries(std::mem::take(list));
        }
        files.scratch = filler.scratch(std::mem::take(&mut files.scratch));
        for Sourced { value, origin } in &mut policy.listen.addresses {
            filler.address(value, origin);
        }
        policy.filled = filler.filled;
        InputError::unless_none(filler.mistakes)?;
        Ok(policy)
    }
}

/// Fills in one policy; a mistake in one text hides none in another.
struct Filler<'a> {
    known: Known<'a>,
    user: Option<String>,
    filled: Vec<Filled>,
    mistakes: Vec<Mistake>,
    policy: &'a Policy,
}

impl Filler<'_> {
    /// `text` with names filled in; as it is where that cannot be.
    fn text(&mut self, text: &str, origin: &Origin) -> String {
        // It was looked at when it was read.
        let Ok(parts) = parts(text) else { return text.to_owned() };
        let mut became = String::new();
        for part in parts {
            match part {
                Part::Text(text) => became.push_str(text),
                Part::Variable(variable) => match self.value(variable) {
                    Ok(value) => became.push_str(&value),
                    Err(mistake) => {
                        self.mistake(*mistake, origin);
                        return text.to_owned();
                    }
                },
            }
        }
        if became != text {
            let filled = Filled { written: text.to_owned(), became: became.clone(), origin: origin.clone() };
            self.filled.push(filled);
        }
        became
    }

    fn account(&mut self, text: &str, origin: &Origin) -> String {
        let became = self.text(text, origin);
        if became != text
            && let Err(why) = read::account_name(became.clone())
        {
            self.mistake(Mistake::new(format!("no account can be `{became}`: {why}")), origin);
        }
        became
    }

    fn path(&mut self, text: &Path, origin: &Origin, root: RootPath) -> PathBuf {
        // What was read from TOML is UTF-8.
        let written = text.to_string_lossy();
        let became = self.text(&written, origin);
        if became == written {
            return text.to_owned();
        }
        path(&became, root).unwrap_or_else(|mistake| {
            self.mistake(mistake(&became), origin);
            text.to_owned()
        })
    }

    fn address(&mut self, address: &mut Address, origin: &Origin) {
        match address {
            Address::Tcp(_) => {}
            Address::Abstract(name) => *name = self.socket(name, origin, |_| Ok(())),
            Address::Unix(UnixAddress { path, user, group, .. }) => {
                *path = self.socket(&path.to_string_lossy(), origin, listen::became).into();
                for account in [user, group].into_iter().flatten() {
                    *account = self.account(account, origin);
                }
            }
        }
    }

    fn socket(&mut self, text: &str, origin: &Origin, check: fn(&str) -> Result<(), String>) -> String {
        let became = self.text(text, origin);
        let long = || format!("the name of a UNIX socket has at most {LONGEST_PATH} bytes");
        let judged = if became.len() > LONGEST_PATH { Err(long()) } else { check(&became) };
        if let Err(why) = judged {
            self.mistake(Mistake::new(format!("nobody can listen on `{became}`: {why}")), origin);
        }
        became
    }

    /// Two entries that become one path ask for one thing; it must be there if one of them says so.
    fn entries(&mut self, list: Vec<Sourced<Entry>>) -> Vec<Sourced<Entry>> {
        let mut all: BTreeMap<PathBuf, Sourced<Entry>> = BTreeMap::new();
        for mut entry in list {
            entry.value.path = self.path(&entry.value.path, &entry.origin, RootPath::Refused);
            let path = entry.value.path.clone();
            if all.get(&path).is_none_or(|earlier| earlier.value.optional) {
                all.insert(path, entry);
            }
        }
        all.into_values().collect()
    }

    fn scratch(&mut self, list: Vec<Sourced<Scratch>>) -> Vec<Sourced<Scratch>> {
        let mut all: BTreeMap<PathBuf, Sourced<Scratch>> = BTreeMap::new();
        for mut scratch in list {
            scratch.value.path = self.path(&scratch.value.path, &scratch.origin, RootPath::Refused);
            let (path, origin) = (scratch.value.path.clone(), scratch.origin.clone());
            if let Some(earlier) = all.insert(path.clone(), scratch) {
                let (path, earlier) = (path.display(), earlier.origin);
                let title = format!("scratch path is written twice: this becomes {path}, as does what is at {earlier}");
                self.mistake(Mistake::new(title), &origin);
            }
        }
        all.into_values().collect()
    }

    fn value(&self, variable: Variable) -> Result<String, Box<Mistake>> {
        let (name, value) = match variable {
            Variable::Service => ("service", Some(self.known.service.to_owned())),
            Variable::User => ("user", self.user.clone()),
        };
        let Some(value) = value else {
            let range = matches!(self.policy.command.user, Some(Sourced { value: User::Range(_), .. }));
            let mistake = match range {
                true => Mistake::new("`${user}` stands for nobody: each session has a user of its own"),
                false => Mistake::new("`${user}` stands for nobody: no user is named")
                    .help("name one: `user` under [command]"),
            };
            return Err(Box::new(mistake));
        };
        match unusable(&value) {
            None => Ok(value),
            Some(why) => {
                let mistake = Mistake::new(format!("`${{{name}}}` cannot stand for `{value}`: {why}"));
                Err(Box::new(mistake.help(format!("write here what is meant, or give the {name} another name"))))
            }
        }
    }

    fn mistake(&mut self, mistake: Mistake, origin: &Origin) {
        if self.mistakes.len() < super::diagnose::MOST_MISTAKES {
            self.mistakes.push(mistake.quoted(origin, &self.policy.sources));
        }
    }
}

/// Why this name is no part of a path: with it, a text could lead anywhere.
fn unusable(value: &str) -> Option<&'static str> {
    match value {
        "" => Some("it is empty"),
        "." | ".." => Some("it would be another directory"),
        _ if value.contains('/') => Some("with a `/` it would be another directory"),
        _ if value.contains(char::is_control) => Some("it holds a character that cannot be seen"),
        _ => None,
    }
}

/// `text` for a policy in which it shall stand as it is.
pub fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// Whether the names in `text` are known; `Err` is the reason why not.
pub(super) fn check(text: &str) -> Result<(), String> {
    parts(text).map(drop)
}

/// Whether `text` depends on the user.
pub(super) fn names_user(text: &str) -> bool {
    names(text, Variable::User)
}

fn names(text: &str, variable: Variable) -> bool {
    parts(text).is_ok_and(|parts| parts.contains(&Part::Variable(variable)))
}

/// `text`, taken apart. `$${` is `${` itself; a `$` before anything else is a `$`.
fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let escaped = rest[..at].ends_with('$');
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if escaped {
            // The text up to the dollar sign that escapes, and from the one that is escaped.
            parts.extend([Part::Text(&before[..at - 1]), Part::Text("${")]);
            rest = after;
            continue;
        }
        let Some((name, after)) = after.split_once('}') else {
            return Err("`${` without `}`: write `$${` where no name is meant".to_owned());
        };
        let variable = match name {
            "service" => Variable::Service,
            "user" => Variable::User,
            _ => {
                let known = "`${service}` and `${user}` are";
                return Err(format!("`${{{name}}}` is not known, {known}: write `$${{` where no name is meant"));
            }
        };
        parts.extend([Part::Text(before), Part::Variable(variable)]);
        rest = after;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

#[cfg(test)]
#[path = "variables_tests.rs"]
mod tests;
