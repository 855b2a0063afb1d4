// SPDX-License-Identifier: Apache-2.0
//! The mail owner: the account that Postfix's own daemons run as, and that no command may have.
//! Pure: accounts come from the caller. Refusals have Postfix's own words.
#![forbid(unsafe_code)]

use super::attributes::Accounts;

/// A `mail_owner` that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("file {directory}/main.cf: parameter mail_owner: {what}")]
pub struct OwnerError {
    /// `config_directory`
    pub directory: String,
    /// What is wrong with it.
    pub what: String,
}

/// User id and group id of the account that `mail_owner` names.
pub fn look_up(owner: &str, accounts: &dyn Accounts, directory: &str) -> Result<(u32, u32), OwnerError> {
    let refuse = |what: String| Err(OwnerError { directory: directory.to_string(), what });
    let Some((uid, gid)) = accounts.user(owner) else {
        return refuse(format!("unknown user name value: {owner}"));
    };
    match (uid, gid, accounts.name_of(uid)) {
        (0, _, _) => refuse(format!("user {owner} has privileged user ID")),
        (_, 0, _) => refuse(format!("user {owner} has privileged group ID")),
        (_, _, Some(name)) if name != owner => refuse(format!("user {owner} has same user ID as {name}")),
        (_, _, Some(_) | None) => Ok((uid, gid)),
    }
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
                "root" => Some((0, 0)),
                "wheel" => Some((8, 0)),
                _ => None,
            }
        }

        fn group(&self, _name: &str) -> Option<u32> {
            None
        }

        fn name_of(&self, uid: u32) -> Option<String> {
            (uid == 102).then(|| "postfix".to_string())
        }
    }

    #[test]
    fn an_owner_that_others_share_is_refused_in_postfix_words() {
        for (owner, complaint) in [
            ("ghost", "unknown user name value: ghost"),
            ("root", "user root has privileged user ID"),
            ("wheel", "user wheel has privileged group ID"),
            ("twin", "user twin has same user ID as postfix"),
        ] {
            let error = look_up(owner, &Host, "/etc/postfix").unwrap_err();
            assert_eq!(error.to_string(), format!("file /etc/postfix/main.cf: parameter mail_owner: {complaint}"));
        }
        assert_eq!(look_up("postfix", &Host, "/etc/postfix"), Ok((102, 105)));
    }
}
