// SPDX-License-Identifier: Apache-2.0
//! The program of a first process that keeps nothing of ours: a page of machine code with a stack, and no heap, no
//! libraries and no name in any file system. It is what `sandbox/reaper.rs` is where nobody hears of denied calls and
//! there is no relay, in so few instructions that they can be read here. It lies in memory of the kernel's (a memfd),
//! which nobody may read, so that who executes it is not dumpable, see `would_dump` in fs/exec.c, but where
//! `fs.suid_dumpable` is 1: it is not executed there.
//!
//! Its stack, which the kernel puts far from its code, takes three pages of page tables of its own. Where a session
//! lasts, it goes on with a page beside the code and gives back all that lies above: what it was told it has read, and
//! what it calls is its own. That page is written to and never executed; the code is executed and never written to.

use super::checked;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::ffi::{CStr, c_char};
use std::os::fd::RawFd;

/// Where it finds the cord.
pub const CORD: RawFd = 3;
/// Where it is executed from, and closed by that.
pub const PROGRAM: RawFd = 4;
/// Where it finds the descriptor that is readable when a child has ended.
pub const SIGNALS: RawFd = 5;
/// How long it waits with the stack that it was given, in milliseconds: longer than most sessions last, which are
/// spared the call.
const PATIENCE: i32 = 250;
/// How far below its frame the stack may reach; nothing else is mapped so near (`mmap_base`, arch/x86/mm/mmap.c).
const STACK: i32 = 0x10_0000;
/// `TASK_SIZE_MAX` of asm/page_64_types.h where no process asks for more: nothing is mapped above.
const TOP: u64 = 0x7fff_ffff_f000;
/// Two of poll(2)'s entries, then room for a signalfd_siginfo.
const FRAME: u32 = 160;
/// How it begins a record of a command's status, which follows after three zeros: see `sandbox/report.rs`.
pub const STATUS: u8 = 0x5b;

core::arch::global_asm!(
    ".pushsection .rodata.spawnbox_first, \"a\", @progbits",
    ".balign 16",
    "20:",
    // The file header of a position-independent program for this machine, see elf(5), and three program headers.
    ".byte 0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0",
    ".short 3, 62",
    ".long 1",
    ".quad 21f - 20b, 64, 0",
    ".long 0",
    ".short 64, 56, 3, 0, 0, 0",
    // All of it, to be read and executed.
    ".long 1, 5",
    ".quad 0, 0, 0, 22f - 20b, 22f - 20b, 4096",
    // The page behind, to be written.
    ".long 1, 6",
    ".quad 0, 4096, 4096, 0, 4096, 4096",
    // A stack that is not executed.
    ".long 0x6474e551, 6",
    ".quad 0, 0, 0, 0, 0, 16",
    "21:",
    // r12: the number of words. ebx: the command's, in decimal digits.
    "mov r12, [rsp]",
    "cmp r12, 2",
    "jb 8f",
    "mov rsi, [rsp + 16]",
    "xor ebx, ebx",
    "2: movzx eax, byte ptr [rsi]",
    "test eax, eax",
    "jz 3f",
    "imul ebx, ebx, 10",
    "lea ebx, [rbx + rax - 48]",
    "inc rsi",
    "jmp 2b",
    // r13: how long to wait.
    "3: mov r13, {patience}",
    "sub rsp, {frame}",
    "30: mov dword ptr [rsp], {cord}",
    "mov dword ptr [rsp + 8], {signals}",
    // The command reads the cord, so its end alone is of interest.
    "4: mov dword ptr [rsp + 4], 0",
    "mov dword ptr [rsp + 12], {readable}",
    "mov eax, {poll}",
    "mov rdi, rsp",
    "mov esi, 2",
    "mov rdx, r13",
    "syscall",
    "cmp rax, -{interrupted}",
    "je 4b",
    "test rax, rax",
    "js 7f",
    "jz 6f",
    "cmp word ptr [rsp + 6], 0",
    "jne 8f",
    "cmp word ptr [rsp + 14], 0",
    "je 4b",
    // One SIGCHLD may stand for many; what matters is that the descriptor is empty again.
    "mov eax, {read}",
    "mov edi, {signals}",
    "lea rsi, [rsp + 16]",
    "mov edx, 128",
    "syscall",
    "5: mov eax, {wait}",
    "mov edi, -1",
    "lea rsi, [rsp + 16]",
    "mov edx, {without_waiting}",
    "xor r10d, r10d",
    "syscall",
    "test rax, rax",
    "jz 4b",
    // ECHILD: no process is left.
    "js 8f",
    "cmp eax, ebx",
    "jne 5b",
    // A command that was reaped is forgotten: no process has the number 0.
    "xor ebx, ebx",
    "mov eax, [rsp + 16]",
    "mov dword ptr [rsp + 24], {status}",
    "mov [rsp + 28], eax",
    "mov eax, {write}",
    "mov edi, {cord}",
    "lea rsi, [rsp + 24]",
    "mov edx, 8",
    "syscall",
    "cmp r12, 3",
    "je 5b",
    "jmp 8f",
    // The session lasts. A refusal changes nothing: the stack stays then.
    "6: lea rdi, [rsp - {stack}]",
    "and rdi, -4096",
    "mov rsi, {top}",
    "sub rsi, rdi",
    "lea rsp, [rip + 20b + 8192 - {frame}]",
    "mov eax, {unmap}",
    "syscall",
    "mov r13, -1",
    "jmp 30b",
    "7: mov edi, eax",
    "neg edi",
    "jmp 9f",
    "8: xor edi, edi",
    "9: mov eax, {exit}",
    "syscall",
    "ud2",
    "22:",
    ".popsection",
    // Where it is.
    ".pushsection .data.rel.ro.spawnbox_first, \"aw\", @progbits",
    ".balign 8",
    ".hidden spawnbox_first",
    ".globl spawnbox_first",
    "spawnbox_first: .quad 20b, 22b - 20b",
    ".popsection",
    cord = const CORD,
    signals = const SIGNALS,
    status = const STATUS,
    patience = const PATIENCE,
    frame = const FRAME,
    stack = const STACK,
    top = const TOP,
    readable = const libc::POLLIN,
    interrupted = const libc::EINTR,
    without_waiting = const libc::WNOHANG,
    poll = const libc::SYS_poll,
    read = const libc::SYS_read,
    write = const libc::SYS_write,
    wait = const libc::SYS_wait4,
    unmap = const libc::SYS_munmap,
    exit = const libc::SYS_exit_group,
);

#[repr(C)]
struct Place {
    first: *const u8,
    length: usize,
}

unsafe extern "C" {
    static spawnbox_first: Place;
}

/// What it is told after its own name: nothing, and it ends at once without failure; or how to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// End.
    End,
    /// Wait for this command, which is a child, and end with it.
    Command(Pid),
    /// Wait for this command, and end with the last child.
    Tree(Pid),
}

/// The whole file.
pub fn program() -> &'static [u8] {
    // SAFETY: the two words above, which nothing writes to.
    let place = unsafe { &spawnbox_first };
    // SAFETY: so many bytes lie there, also above, and nothing writes to them.
    unsafe { std::slice::from_raw_parts(place.first, place.length) }
}

/// execveat(2) of the file that is open as this descriptor: returns only on failure. Nothing allocates.
pub fn execute(descriptor: RawFd, order: Order) -> Errno {
    let (command, last): (_, Option<&CStr>) = match order {
        Order::End => (None, None),
        Order::Command(command) => (Some(command), None),
        Order::Tree(command) => (Some(command), Some(c"tree")),
    };
    let number = command.map(|command| digits(command.as_raw().unsigned_abs()));
    let words: [*const c_char; 4] = [
        c"spawnbox".as_ptr(),
        number.as_ref().map_or(std::ptr::null(), |number| number.as_ptr().cast()),
        last.map_or(std::ptr::null(), CStr::as_ptr),
        std::ptr::null(),
    ];
    let (path, environment) = (c"".as_ptr(), [std::ptr::null::<c_char>()]);
    let (words, environment) = (words.as_ptr(), environment.as_ptr());
    // SAFETY: both vectors end with NULL, their strings with NUL, and all of them are alive.
    let result =
        unsafe { libc::syscall(libc::SYS_execveat, descriptor, path, words, environment, libc::AT_EMPTY_PATH) };
    checked(result).err().unwrap_or(Errno::UnknownErrno)
}

/// In decimal, with leading zeros and a NUL.
fn digits(mut number: u32) -> [u8; 11] {
    let mut text = [0; 11];
    for digit in text[..10].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_page_at_most_with_a_header_that_tools_can_read() {
        assert!(program().len() <= 4096);
        let read = goblin::elf::Elf::parse(program()).unwrap();
        assert!(read.is_64 && read.interpreter.is_none());
        let executed: Vec<_> = read.program_headers.iter().filter(|header| header.is_executable()).collect();
        assert_eq!(executed.len(), 1);
        assert!(executed[0].is_read() && !executed[0].is_write());
        assert!(executed[0].vm_range().contains(&(read.entry as usize)));
        let written: Vec<_> =
            read.program_headers.iter().filter(|header| header.p_memsz > 0 && header.is_write()).collect();
        assert_eq!(written.len(), 1);
        assert!(!written[0].is_executable());
        assert_eq!(written[0].vm_range(), 4096..8192, "it has its stack there");
    }

    #[test]
    fn a_number_is_text_that_ends() {
        assert_eq!(&digits(0), b"0000000000\0");
        assert_eq!(&digits(4_194_304), b"0004194304\0");
    }
}
