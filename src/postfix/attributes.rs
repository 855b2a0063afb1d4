// SPDX-License-Identifier: Apache-2.0
//! The command attributes of a master.cf entry: `user=`, `argv=`, and our own `policy=`.
//! Pure: accounts come from the caller. Refusals have the words of spawn(8) and come in its order.
#![forbid(unsafe_code)]

/// What the attributes say, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// `user=`; an entry that names a policy may leave it to that.
    pub user: Option<User>,
    /// `policy=`: the sandbox policy's name.
    pub policy: Option<String>,
    /// `argv=`: the command and its arguments.
    pub argv: Vec<String>,
}

/// `user=`: an account that exists and that a command may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The group after the colon; absent means the user's own.
    pub group: Option<String>,
    /// User id and group id.
    pub ids: (u32, u32),
}

/// Where names are looked up.
pub trait Accounts {
    /// User id and group id of the user with this name.
    fn user(&self, name: &str) -> Option<(u32, u32)>;
    /// Group id of the group with this name.
    fn group(&self, name: &str) -> Option<u32>;
    /// The name of the first user with this id.
    fn name_of(&self, uid: u32) -> Option<String>;
    /// The name of the first group with this id.
    fn group_name_of(&self, gid: u32) -> Option<String>;
}

/// Attributes that are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum AttributeError {
    #[error("unknown user name: {0}")]
    UnknownUser(String),
    #[error("unknown group name: {0}")]
    UnknownGroup(String),
    #[error("unknown attribute name: {0}")]
    UnknownAttribute(String),
    #[error("missing policy name after policy=")]
    EmptyPolicy,
    #[error("missing user= attribute")]
    MissingUser,
    #[error("missing argv= attribute")]
    MissingArgv,
    #[error("request to deliver as root")]
    Root,
    #[error("request to deliver as mail system owner")]
    MailOwner,
    #[error("request to use privileged group id {0}")]
    RootGroup(u32),
    #[error("request to use mail system owner group id {0}")]
    MailOwnerGroup(u32),
    #[error("user must not have user ID -1")]
    NoUserId,
    #[error("user must not have group ID -1")]
    NoGroupId,
}

/// Reads the words after the options. `mail_owner` is the (uid, gid) that no command may have.
pub fn parse(words: &[String], accounts: &dyn Accounts, mail_owner: (u32, u32)) -> Result<Attributes, AttributeError> {
    let (mut user, mut policy, mut argv) = (None, None, None);
    for (at, word) in words.iter().enumerate() {
        if let Some(value) = value_of(word, "user=") {
            // Looked up at once: a later mistake must not hide an earlier one.
            user = Some(User::look_up(value, accounts)?);
        } else if let Some(value) = value_of(word, "argv=") {
            argv = Some([&[value.to_string()], &words[at + 1..]].concat());
            break;
        } else if let Some(value) = value_of(word, "policy=") {
            policy = Some(Some(value.to_string()).filter(|name| !name.is_empty()).ok_or(AttributeError::EmptyPolicy)?);
        } else {
            return Err(AttributeError::UnknownAttribute(word.clone()));
        }
    }
    // What the policy says about the user is not known yet, only that there is one: spawn(8) has no such entries.
    if user.is_none() && policy.is_none() {
        return Err(AttributeError::MissingUser);
    }
    let argv = argv.ok_or(AttributeError::MissingArgv)?;
    user.as_ref().map_or(Ok(()), |user| user.check(mail_owner))?;
    Ok(Attributes { user, policy, argv })
}

impl User {
    fn look_up(value: &str, accounts: &dyn Accounts) -> Result<User, AttributeError> {
        let (name, group) = value.split_once(':').unwrap_or((value, ""));
        let (uid, own) = accounts.user(name).ok_or_else(|| AttributeError::UnknownUser(name.to_string()))?;
        let group = Some(group).filter(|group| !group.is_empty());
        let gid = match group {
            Some(group) => accounts.group(group).ok_or_else(|| AttributeError::UnknownGroup(group.to_string()))?,
            None => own,
        };
        Ok(User { name: name.to_string(), group: group.map(str::to_string), ids: (uid, gid) })
    }

    /// By number, not by name: an account with user id 0 is root, whatever it is called.
    fn check(&self, mail_owner: (u32, u32)) -> Result<(), AttributeError> {
        match self.ids {
            (0, _) => Err(AttributeError::Root),
            (uid, _) if uid == mail_owner.0 => Err(AttributeError::MailOwner),
            (_, 0) => Err(AttributeError::RootGroup(0)),
            (_, gid) if gid == mail_owner.1 => Err(AttributeError::MailOwnerGroup(gid)),
            (u32::MAX, _) => Err(AttributeError::NoUserId),
            (_, u32::MAX) => Err(AttributeError::NoGroupId),
            _ => Ok(()),
        }
    }
}

/// What follows `prefix`, which is recognised in any case.
fn value_of<'a>(word: &'a str, prefix: &str) -> Option<&'a str> {
    let (name, value) = word.split_at_checked(prefix.len())?;
    name.eq_ignore_ascii_case(prefix).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Host;

    impl Accounts for Host {
        fn user(&self, name: &str) -> Option<(u32, u32)> {
            match name {
                "root" | "toor" => Some((0, 0)),
                "postfix" => Some((102, 105)),
                "operator" => Some((37, 0)),
                "sharer" => Some((38, 105)),
                "nobody" => Some((65534, 65534)),
                "minus" => Some((u32::MAX, 7)),
                "minusgroup" => Some((39, u32::MAX)),
                _ => None,
            }
        }

        fn group(&self, name: &str) -> Option<u32> {
            match name {
                "root" => Some(0),
                "postfix" => Some(105),
                "mail" => Some(8),
                _ => None,
            }
        }

        fn name_of(&self, _uid: u32) -> Option<String> {
            None
        }

        fn group_name_of(&self, _gid: u32) -> Option<String> {
            None
        }
    }

    fn read(line: &str) -> Result<Attributes, String> {
        let words: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(str::to_string).collect();
        parse(&words, &Host, (102, 105)).map_err(|error| error.to_string())
    }

    #[test]
    fn refusals_have_the_words_of_spawn_and_its_order() {
        for (line, complaint) in [
            ("user=ghost argv=/bin/true", "unknown user name: ghost"),
            ("user=65534 argv=/bin/true", "unknown user name: 65534"),
            ("user= argv=/bin/true", "unknown user name: "),
            ("user=nobody:ghosts argv=/bin/true", "unknown group name: ghosts"),
            ("users=nobody argv=/bin/true", "unknown attribute name: users=nobody"),
            ("directory=/ user=ghost", "unknown attribute name: directory=/"),
            ("", "missing user= attribute"),
            ("argv=/bin/true user=nobody", "missing user= attribute"),
            ("user=root", "missing argv= attribute"),
            ("policy=spf", "missing argv= attribute"),
            ("user=root argv=/bin/true", "request to deliver as root"),
            ("user=toor:mail argv=/bin/true", "request to deliver as root"),
            ("user=postfix:mail argv=/bin/true", "request to deliver as mail system owner"),
            ("user=operator argv=/bin/true", "request to use privileged group id 0"),
            ("user=nobody:root argv=/bin/true", "request to use privileged group id 0"),
            ("user=sharer argv=/bin/true", "request to use mail system owner group id 105"),
            ("user=minus argv=/bin/true", "user must not have user ID -1"),
            ("user=minusgroup argv=/bin/true", "user must not have group ID -1"),
            ("user=nobody policy= argv=/bin/true", "missing policy name after policy="),
        ] {
            assert_eq!(read(line), Err(complaint.to_string()), "{line}");
        }
    }

    #[test]
    fn attribute_names_are_known_in_any_case_and_the_last_user_wins() {
        let attributes = read("USER=root Policy=spf User=nobody:mail ArGv=/bin/sh -c user=x").unwrap();
        let argv = ["/bin/sh", "-c", "user=x"].map(str::to_string).to_vec();
        let user = User { name: "nobody".into(), group: Some("mail".into()), ids: (65534, 8) };
        assert_eq!(attributes, Attributes { user: Some(user), policy: Some("spf".into()), argv });
    }

    #[test]
    fn an_empty_group_is_the_users_own() {
        assert_eq!(read("user=nobody: argv=/bin/true").unwrap().user.unwrap().group, None);
    }

    #[test]
    fn an_entry_that_names_a_policy_may_leave_the_user_to_it() {
        assert_eq!(read("policy=spf argv=/bin/true").unwrap().user, None);
    }

    #[test]
    fn an_empty_command_is_left_for_the_exec_to_refuse() {
        assert_eq!(read("user=nobody argv=").unwrap().argv, [""]);
    }
}
