// SPDX-License-Identifier: Apache-2.0
//! Refusals about the account that a command would run as.
//! Words only: who is refused is decided in `identity`.

use crate::host::facts::IdRange;

/// An account that a command must not or cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// No one said as whom.
    #[error("no user is named to run the command as")]
    NotNamed,
    /// No such user.
    #[error("unknown user name: {name}")]
    UnknownUser {
        /// As written.
        name: String,
    },
    /// No such group.
    #[error("unknown group name: {name}")]
    UnknownGroup {
        /// As written.
        name: String,
    },
    /// The user id is 0.
    #[error("the command would run as root: user {name} has user id 0")]
    Root {
        /// The user.
        name: String,
    },
    /// The group id is 0.
    #[error("the command would run with group id 0")]
    RootGroup,
    /// The user is the account that owns the mail system.
    #[error("the command would run as the mail system's owner, {name}")]
    MailOwner {
        /// The user.
        name: String,
    },
    /// The group is the mail system's own.
    #[error("the command would run with the mail system owner's group id {gid}")]
    MailOwnerGroup {
        /// The group.
        gid: u32,
    },
    /// setresuid(2) reads -1 as "leave it as it is".
    #[error("user id -1 means no user at all")]
    UserMinusOne,
    /// setresgid(2) likewise.
    #[error("group id -1 means no group at all")]
    GroupMinusOne,
    /// Only root can run a command as someone else.
    #[error("user id {own} cannot run a command as {name} (user id {uid})")]
    OtherUser {
        /// The user that is asked for.
        name: String,
        /// Its id.
        uid: u32,
        /// The supervisor's id.
        own: u32,
    },
    /// Only root can run a command with another group.
    #[error("group id {own} cannot run a command with group id {gid}")]
    OtherGroup {
        /// The group that is asked for.
        gid: u32,
        /// The supervisor's group.
        own: u32,
    },
    /// Ids that are somebody's already.
    #[error("the range {range} takes in {}, which {} {whose}", ids, if ids.count() == 1 { "is" } else { "are" })]
    RangeTaken {
        /// The range.
        range: IdRange,
        /// Which of its ids.
        ids: IdRange,
        /// Whose.
        whose: String,
    },
    /// A user for all sessions, and one for each.
    #[error("the policy gives each session a user id of its own, and user= of master.cf names one for all")]
    RangeAndUser,
    /// Only root can run commands as others.
    #[error("user id {own} cannot give each session a user id of its own")]
    RangeRootless {
        /// The supervisor's id.
        own: u32,
    },
    /// The kernel refuses setgroups(2) to an ordinary user in its own user namespace, see user_namespaces(7).
    #[error("the command would keep the supplementary groups {groups}, which an ordinary user cannot drop")]
    Groups {
        /// Their ids.
        groups: String,
    },
}

impl BadIdentity {
    /// Whether it is a name that no account has.
    pub(in crate::plan) fn is_unknown(&self) -> bool {
        matches!(self, BadIdentity::UnknownUser { .. } | BadIdentity::UnknownGroup { .. })
    }

    /// Whether it was the group that was written wrong.
    pub(in crate::plan) fn is_about_the_group(&self) -> bool {
        match self {
            BadIdentity::RootGroup
            | BadIdentity::MailOwnerGroup { .. }
            | BadIdentity::GroupMinusOne
            | BadIdentity::OtherGroup { .. } => true,
            BadIdentity::NotNamed
            | BadIdentity::UnknownUser { .. }
            | BadIdentity::UnknownGroup { .. }
            | BadIdentity::Root { .. }
            | BadIdentity::MailOwner { .. }
            | BadIdentity::UserMinusOne
            | BadIdentity::OtherUser { .. }
            | BadIdentity::RangeTaken { .. }
            | BadIdentity::RangeAndUser
            | BadIdentity::RangeRootless { .. }
            | BadIdentity::Groups { .. } => false,
        }
    }

    /// What the operator can do about it.
    pub(super) fn way_out(&self) -> String {
        let words = match self {
            BadIdentity::NotNamed => "name one: command.user = \"nobody\", or -s command.user=nobody",
            BadIdentity::UnknownUser { .. } => "name an account that getent passwd shows",
            BadIdentity::UnknownGroup { .. } => "name a group that getent group shows",
            BadIdentity::Root { .. } | BadIdentity::RootGroup => {
                "name an account without privileges, one for each service"
            }
            BadIdentity::MailOwner { .. } | BadIdentity::MailOwnerGroup { .. } => {
                "name an account of its own: the owner's files are the mail queue"
            }
            BadIdentity::UserMinusOne | BadIdentity::GroupMinusOne => "name a real account",
            BadIdentity::OtherUser { .. } => "start spawnbox as root, or leave command.user out",
            BadIdentity::OtherGroup { .. } => "start spawnbox as root, or leave command.group out",
            BadIdentity::RangeTaken { .. } => {
                "name ids that are nobody's, such as 61184-65519, which systemd keeps for users that come and go"
            }
            BadIdentity::RangeAndUser => "leave user= out of the entry, or the range out of the policy",
            BadIdentity::RangeRootless { .. } => "start spawnbox as root, or leave command.user out",
            BadIdentity::Groups { .. } => {
                "start it without them (setpriv --clear-groups, SupplementaryGroups= in a unit), or set files.root = \"empty\""
            }
        };
        words.to_string()
    }

    /// What spawn(8) says to the same mistake, Postfix 3.7 `src/spawn/spawn.c`.
    pub(super) fn spawn_words(&self) -> Option<String> {
        Some(match self {
            BadIdentity::NotNamed => "missing user= attribute".to_string(),
            BadIdentity::UnknownUser { name } => format!("unknown user name: {name}"),
            BadIdentity::UnknownGroup { name } => format!("unknown group name: {name}"),
            BadIdentity::Root { .. } => "request to deliver as root".to_string(),
            BadIdentity::RootGroup => "request to use privileged group id 0".to_string(),
            BadIdentity::MailOwner { .. } => "request to deliver as mail system owner".to_string(),
            BadIdentity::MailOwnerGroup { gid } => format!("request to use mail system owner group id {gid}"),
            BadIdentity::UserMinusOne => "user must not have user ID -1".to_string(),
            BadIdentity::GroupMinusOne => "user must not have group ID -1".to_string(),
            BadIdentity::OtherUser { .. }
            | BadIdentity::OtherGroup { .. }
            | BadIdentity::RangeTaken { .. }
            | BadIdentity::RangeAndUser
            | BadIdentity::RangeRootless { .. }
            | BadIdentity::Groups { .. } => return None,
        })
    }
}
