// SPDX-License-Identifier: Apache-2.0
//! The policies that are built into the program, so that it works where no file is installed.
//! Text only: they are read like any other file.

macro_rules! builtin {
    ($($name:literal $path:literal),* $(,)?) => {
        /// Each name and its text, profiles first.
        const ALL: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../policies/", $path)))),*];
    };
}

builtin! {
    "strict" "profiles/strict.toml",
    "compatible" "profiles/compatible.toml",
    "shell" "profiles/shell.toml",
    "python3" "profiles/python3.toml",
    "perl" "profiles/perl.toml",
    "node" "profiles/node.toml",
    "java" "profiles/java.toml",
    "tls" "profiles/tls.toml",
    "dns-client" "profiles/dns-client.toml",
    "syslog" "profiles/syslog.toml",
    "policyd-spf" "policyd-spf.toml",
    "policyd-spf-perl" "policyd-spf-perl.toml",
    "echo" "echo.toml",
    "greylist" "greylist.toml",
    "tcp-table" "tcp-table.toml",
    "socketmap" "socketmap.toml",
    "smtp-filter" "smtp-filter.toml",
    "spamc" "spamc.toml",
    "quota" "quota.toml",
    "git-daemon" "git-daemon.toml",
    "fingerd" "fingerd.toml",
    "challenge" "challenge.toml",
}

/// The text of the policy `name`, and its name for as long as the program runs.
pub(super) fn find(name: &str) -> Option<(&'static str, &'static str)> {
    ALL.iter().find(|(known, _)| *known == name).copied()
}

/// Every name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::super::load::builtin;
    use super::*;

    #[test]
    fn every_built_in_policy_loads() {
        for name in names() {
            let policy = builtin(name).unwrap_or_else(|error| panic!("{name}:\n{error}"));
            assert_eq!(policy.name, name);
            assert!(policy.description.is_some(), "{name} has no description");
        }
    }

    #[test]
    fn no_built_in_policy_needs_a_cgroup_controller_or_a_new_kernel() {
        for policy in names().map(|name| builtin(name).unwrap()) {
            assert_eq!((policy.limits.memory, policy.limits.cpu), (None, None), "{}", policy.name);
            assert_eq!(policy.isolation.pid_max, None, "{}", policy.name);
            assert!(policy.isolation.memfd_noexec.is_none_or(|it| !it.value), "{}", policy.name);
        }
    }

    #[test]
    fn every_grant_has_its_reason_on_a_line_above() {
        for (name, text) in ALL {
            let mut reason = false;
            for line in text.lines().map(str::trim) {
                match line.chars().next() {
                    Some('#') => reason = true,
                    // A group of lines shares the comment above it; an empty line or a new table ends it.
                    None | Some('[') => reason = false,
                    Some(']') | Some('}') => {}
                    Some(_) => assert!(reason || line.ends_with('['), "{name}: `{line}` has no reason"),
                }
            }
        }
    }
}
