// SPDX-License-Identifier: Apache-2.0
//! The accounts of a mail system: the mail owner, which its own daemons run as and no command may have, the one of
//! commands without any, and the group of set-gid programs. No two of them may be one.
//! Pure: accounts come from the caller. Refusals have Postfix's own words and its order.
#![forbid(unsafe_code)]

use super::attributes::Accounts;

/// An account that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("file {directory}/main.cf: {what}")]
pub struct OwnerError {
    /// `config_directory`
    pub directory: String,
    /// What is wrong with it.
    pub what: String,
}

/// The names that main.cf gives them.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// `default_privs`
    pub default_privs: &'a str,
    /// `mail_owner`
    pub mail_owner: &'a str,
    /// `setgid_group`
    pub setgid_group: &'a str,
}

/// User id and group id of the mail owner.
pub fn look_up(names: Names<'_>, accounts: &dyn Accounts, directory: &str) -> Result<(u32, u32), OwnerError> {
    check(names, accounts).map_err(|what| OwnerError { directory: directory.to_string(), what })
}

fn check(names: Names<'_>, accounts: &dyn Accounts) -> Result<(u32, u32), String> {
    let default = user("default_privs", names.default_privs, accounts)?;
    let owner = user("mail_owner", names.mail_owner, accounts)?;
    match accounts.name_of(owner.0) {
        Some(name) if name != names.mail_owner => {
            return Err(format!("parameter mail_owner: user {} has same user ID as {name}", names.mail_owner));
        }
        Some(_) | None => {}
    }
    let group = group(names.setgid_group, accounts)?;
    apart(names, (default, owner, group))?;
    Ok(owner)
}

fn user(parameter: &str, name: &str, accounts: &dyn Accounts) -> Result<(u32, u32), String> {
    match accounts.user(name) {
        None => Err(format!("parameter {parameter}: unknown user name value: {name}")),
        Some((0, _)) => Err(format!("parameter {parameter}: user {name} has privileged user ID")),
        Some((_, 0)) => Err(format!("parameter {parameter}: user {name} has privileged group ID")),
        Some(ids) => Ok(ids),
    }
}

fn group(name: &str, accounts: &dyn Accounts) -> Result<u32, String> {
    let refuse = |what: String| Err(format!("parameter setgid_group: {what}"));
    let Some(gid) = accounts.group(name) else { return refuse(format!("unknown group name: {name}")) };
    match (gid, accounts.group_name_of(gid)) {
        (0, _) => refuse(format!("group {name} has privileged group ID")),
        (_, Some(other)) if other != name => refuse(format!("group {name} has same group ID as {other}")),
        (gid, Some(_) | None) => Ok(gid),
    }
}

type Ids = (u32, u32);

fn apart(names: Names<'_>, (default, owner, group): (Ids, Ids, u32)) -> Result<(), String> {
    let Names { default_privs, mail_owner, setgid_group } = names;
    let parameters = |one: &str, other: &str, what: String| Err(format!("parameters {one} and {other}{what}"));
    let same = |what: &str, kind: &str, id: u32| format!(": {what} have the same {kind} ID: {id}");
    let users = format!("users {default_privs} and {mail_owner}");
    let with_group = |user: &str| same(&format!("user {user} and group {setgid_group}"), "group", group);
    if default_privs == mail_owner {
        return parameters("default_privs", "mail_owner", format!(" specify the same user {mail_owner}"));
    }
    if default.0 == owner.0 {
        return parameters("default_privs", "mail_owner", same(&users, "user", owner.0));
    }
    if default.1 == owner.1 {
        return parameters("default_privs", "mail_owner", same(&users, "group", owner.1));
    }
    if default.1 == group {
        return parameters("default_privs", "setgid_group", with_group(default_privs));
    }
    if owner.1 == group {
        return parameters("mail_owner", "setgid_group", with_group(mail_owner));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Host;

    impl Accounts for Host {
        fn user(&self, name: &str) -> Option<(u32, u32)> {
            match name {
                "postfix" => Some((102, 105)),
                "twin" => Some((102, 7)),
                "sharer" => Some((103, 105)),
                "dropper" => Some((104, 106)),
                "nobody" => Some((65534, 65534)),
                "root" => Some((0, 0)),
                "wheel" => Some((8, 0)),
                _ => None,
            }
        }

        fn group(&self, name: &str) -> Option<u32> {
            match name {
                "postdrop" | "alias" => Some(106),
                "postfix" => Some(105),
                "root" => Some(0),
                _ => None,
            }
        }

        fn name_of(&self, uid: u32) -> Option<String> {
            (uid == 102).then(|| "postfix".to_string())
        }

        fn group_name_of(&self, gid: u32) -> Option<String> {
            (gid == 106).then(|| "postdrop".to_string())
        }
    }

    #[test]
    fn accounts_that_are_not_apart_are_refused_in_postfix_words_and_order() {
        let same = "have the same";
        for (default, owner, group, complaint) in [
            ("ghost", "ghost", "ghosts", "parameter default_privs: unknown user name value: ghost"),
            ("root", "root", "postdrop", "parameter default_privs: user root has privileged user ID"),
            ("wheel", "postfix", "postdrop", "parameter default_privs: user wheel has privileged group ID"),
            ("nobody", "ghost", "ghosts", "parameter mail_owner: unknown user name value: ghost"),
            ("nobody", "root", "postdrop", "parameter mail_owner: user root has privileged user ID"),
            ("nobody", "wheel", "postdrop", "parameter mail_owner: user wheel has privileged group ID"),
            ("nobody", "twin", "ghosts", "parameter mail_owner: user twin has same user ID as postfix"),
            ("nobody", "postfix", "ghosts", "parameter setgid_group: unknown group name: ghosts"),
            ("nobody", "postfix", "root", "parameter setgid_group: group root has privileged group ID"),
            ("nobody", "postfix", "alias", "parameter setgid_group: group alias has same group ID as postdrop"),
            ("postfix", "postfix", "postdrop", "parameters default_privs and mail_owner specify the same user postfix"),
            (
                "twin",
                "postfix",
                "postdrop",
                &format!("parameters default_privs and mail_owner: users twin and postfix {same} user ID: 102"),
            ),
            (
                "sharer",
                "postfix",
                "postdrop",
                &format!("parameters default_privs and mail_owner: users sharer and postfix {same} group ID: 105"),
            ),
            (
                "dropper",
                "postfix",
                "postdrop",
                &format!(
                    "parameters default_privs and setgid_group: user dropper and group postdrop {same} group ID: 106"
                ),
            ),
            (
                "nobody",
                "postfix",
                "postfix",
                &format!("parameters mail_owner and setgid_group: user postfix and group postfix {same} group ID: 105"),
            ),
        ] {
            let names = Names { default_privs: default, mail_owner: owner, setgid_group: group };
            let error = look_up(names, &Host, "/etc/postfix").unwrap_err();
            assert_eq!(error.to_string(), format!("file /etc/postfix/main.cf: {complaint}"));
        }
        let names = Names { default_privs: "nobody", mail_owner: "postfix", setgid_group: "postdrop" };
        assert_eq!(look_up(names, &Host, "/etc/postfix"), Ok((102, 105)));
    }
}
