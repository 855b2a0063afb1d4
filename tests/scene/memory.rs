// SPDX-License-Identifier: Apache-2.0
//! What processes take of the host's memory, and what the kernel takes for them.

use std::fs;

/// What some processes take of the host.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) processes: u64,
    /// Memory of their own and their part of what they share, see proc_pid_smaps(5).
    pub(crate) memory_kib: u64,
    /// Their page tables.
    pub(crate) tables_kib: u64,
}

/// What these take together; one that is gone meanwhile takes nothing.
pub(crate) fn taken(pids: &[u32]) -> Taken {
    let of_file = |pid: &u32, file: &str, name: &str| {
        number(&fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default(), name).unwrap_or(0)
    };
    let of = |pid: &u32| Taken {
        processes: 1,
        memory_kib: of_file(pid, "smaps_rollup", "Pss:"),
        tables_kib: of_file(pid, "status", "VmPTE:"),
    };
    pids.iter().map(of).fold(Taken::default(), |sum, one| Taken {
        processes: sum.processes + one.processes,
        memory_kib: sum.memory_kib + one.memory_kib,
        tables_kib: sum.tables_kib + one.tables_kib,
    })
}

/// What else the kernel of this host has allocated for itself and cannot give back, see proc_meminfo(5): other
/// programs' doings are in it, so that it means something on a quiet host only.
pub(crate) fn kernel_kib() -> u64 {
    ["SUnreclaim:", "KernelStack:", "Percpu:"].iter().map(|name| of_host_kib(name)).sum()
}

/// A line of proc_meminfo(5), by its name with the colon.
pub(crate) fn of_host_kib(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("the tests need /proc");
    number(&text, name).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// The number after this name in a text of lines.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
