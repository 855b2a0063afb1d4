// SPDX-License-Identifier: Apache-2.0
//! What must hold of every text that a host's files give us. For tests and fuzzers only.

use super::cgroup::{mount_point, on_v1, own_path, unescape};
use super::elsewhere::user;
use super::observe::parse_release;
use super::ranges::subordinate;

/// mountinfo, cgroup, passwd, subuid and the kernel's release: nothing of them leads out of where it belongs.
pub(crate) fn files(text: &str) {
    if let Some(path) = own_path(text) {
        assert!(path.is_absolute() && !path.components().any(|part| part == std::path::Component::ParentDir));
    }
    assert!(mount_point(text).is_none() || text.contains("cgroup2"));
    assert!(on_v1(text).is_empty() || text.contains(':'));
    assert!(unescape(text).len() <= text.len());
    if let Ok(kernel) = parse_release(text) {
        assert!(text.starts_with(|first: char| first.is_ascii_digit()));
        assert_eq!(kernel.release, text);
    }
    for occupied in subordinate(text, "ids") {
        assert!(occupied.ids.first <= occupied.ids.last && occupied.whose.starts_with("ids of "));
    }
    for line in text.lines() {
        let name = line.split(':').next().unwrap_or_default();
        assert!(user(line, name).is_none_or(|account| account.name == name));
        assert_eq!(user(line, &format!("{name}x")), None);
    }
}
