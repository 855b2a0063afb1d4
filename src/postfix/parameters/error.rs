// SPDX-License-Identifier: Apache-2.0
//! What is refused in main.cf, in the words in which a Postfix daemon refuses it.

use crate::postfix::expand::ExpandError;
use crate::postfix::owner::OwnerError;

/// A parameter that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ParameterError {
    #[error("dictionary mail_dict: macro processing error")]
    Expand(#[from] ExpandError),
    #[error("{0}")]
    Level(ExpandError),
    #[error("bad string length {length} < {min}: {name} = {value}")]
    TooShort { name: String, value: String, length: usize, min: usize },
    #[error("bad string length {length} > {max}: {name} = {value}")]
    TooLong { name: String, value: String, length: usize, max: usize },
    #[error("bad boolean configuration: {name} = {value}")]
    NotAFlag { name: String, value: String },
    #[error("bad numerical configuration: {name} = {value}")]
    NotANumber { name: String, value: String },
    #[error("invalid {name} parameter value {value} < {min}")]
    TooSmall { name: String, value: i64, min: i64 },
    #[error("invalid {name} parameter value {value} > {max}")]
    TooLarge { name: String, value: i64, max: i64 },
    #[error("parameter {name}: bad time value or unit: {value}")]
    NotATime { name: String, value: String },
    #[error("invalid {name}: {seconds} (min {min})")]
    TooShortATime { name: String, seconds: i32, min: i32 },
    #[error("invalid {name}: {seconds} (max {max})")]
    TooLongATime { name: String, seconds: i32, max: i32 },
    #[error("file {directory}/main.cf: parameter syslog_facility: unrecognized value: {value}")]
    UnknownFacility { directory: String, value: String },
    #[error("unknown inet_protocols value \"{word}\" in \"{value}\"")]
    UnknownProtocol { word: String, value: String },
    #[error("unable to use my own hostname")]
    BadOwnName(String),
    #[error("file {directory}/main.cf: parameter {parameter}: bad parameter value: {value}")]
    BadHostName { directory: String, parameter: &'static str, value: String, warning: String },
    #[error("{file}: {why}")]
    OriginFile { file: String, why: String },
    #[error("myorigin file {0} is empty")]
    EmptyOriginFile(String),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error("myhostname and relayhost parameter settings must not be identical: {0}")]
    RelayToOurselves(String),
    #[error("myorigin parameter setting must not contain multiple values: {0}")]
    ManyOrigins(String),
    #[error("file {directory}/main.cf: parameters default_verp_delimiters and verp_delimiter_filter: {why}")]
    BadDelimiters { directory: String, why: &'static str },
    #[error("maillog_file value '{file}' does not match any prefix in maillog_file_prefixes")]
    ForbiddenLogFile { file: String },
    #[error("parameter {name}: the value is not valid UTF-8")]
    NotText { name: String },
}

impl ParameterError {
    /// What Postfix warns of before it says that.
    pub fn warning(&self) -> Option<String> {
        match self {
            ParameterError::Expand(why) => Some(why.to_string()),
            ParameterError::BadOwnName(warning) | ParameterError::BadHostName { warning, .. } => Some(warning.clone()),
            ParameterError::Level(_)
            | ParameterError::TooShort { .. }
            | ParameterError::TooLong { .. }
            | ParameterError::NotAFlag { .. }
            | ParameterError::NotANumber { .. }
            | ParameterError::TooSmall { .. }
            | ParameterError::TooLarge { .. }
            | ParameterError::NotATime { .. }
            | ParameterError::TooShortATime { .. }
            | ParameterError::TooLongATime { .. }
            | ParameterError::UnknownFacility { .. }
            | ParameterError::UnknownProtocol { .. }
            | ParameterError::OriginFile { .. }
            | ParameterError::EmptyOriginFile(_)
            | ParameterError::Owner(_)
            | ParameterError::RelayToOurselves(_)
            | ParameterError::ManyOrigins(_)
            | ParameterError::BadDelimiters { .. }
            | ParameterError::ForbiddenLogFile { .. }
            | ParameterError::NotText { .. } => None,
        }
    }
}
