// SPDX-License-Identifier: Apache-2.0
//! Code without what is known where it stands: of what seccompiler compiles for one call, which call it is, on which
//! architecture, and which word was loaded last; and with each answer once. The kernel checks, translates and runs each
//! instruction for each session anew. Answers as the code that it was given, or is that code.

use super::{LONGEST, Program, answer, skip};
use nix::libc;
use std::collections::BTreeMap;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const SKIP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const NOT_LESS: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const ANSWER: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// A word of `struct seccomp_data` by its offset, and its value.
pub(super) type Known = (u32, u32);

/// Where a program is: at an instruction, with this word in the accumulator if it is a whole word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    At(usize, Option<u32>),
    Answer(u32),
}

/// What is left to do there.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// One instruction, and then on.
    Then(libc::sock_filter, Place),
    /// A comparison: if it holds, and if not.
    Branch(libc::sock_filter, Place, Place),
    Answer(u32),
}

/// The code, which is entered with this word loaded.
pub(super) fn shorten(code: &[libc::sock_filter], known: &[Known], loaded: u32) -> Program {
    // It is refused for its length.
    if code.len() > LONGEST {
        return code.to_vec();
    }
    let whole = Code { code, known };
    match whole.acts(loaded).and_then(|acts| lay_out(&acts)) {
        Some(shorter) if shorter.len() < code.len() => shorter,
        Some(_) | None => code.to_vec(),
    }
}

struct Code<'a> {
    code: &'a [libc::sock_filter],
    known: &'a [Known],
}

impl Code<'_> {
    /// All that is left to do, each after what leads to it; `None` for an instruction that seccompiler does not use.
    fn acts(&self, loaded: u32) -> Option<Vec<(Place, Act)>> {
        let mut acts = BTreeMap::new();
        let mut order = Vec::new();
        self.follow(self.settle(0, Some(loaded))?, &mut acts, &mut order)?;
        Some(order.into_iter().rev().map(|place| (place, acts[&place])).collect())
    }

    /// Depth first, the longer way of a branch last, so that it comes right behind it in the end.
    fn follow(&self, place: Place, acts: &mut BTreeMap<Place, Act>, order: &mut Vec<Place>) -> Option<()> {
        if acts.contains_key(&place) {
            return Some(());
        }
        let act = self.act(place)?;
        acts.insert(place, act);
        match act {
            Act::Answer(_) => {}
            Act::Then(_, next) => self.follow(next, acts, order)?,
            Act::Branch(_, holds, fails) => {
                self.follow(holds, acts, order)?;
                self.follow(fails, acts, order)?;
            }
        }
        order.push(place);
        Some(())
    }

    fn act(&self, place: Place) -> Option<Act> {
        let (at, word) = match place {
            Place::At(at, word) => (at, word),
            Place::Answer(action) => return Some(Act::Answer(action)),
        };
        let instruction = *self.code.get(at)?;
        match instruction.code {
            LOAD => Some(Act::Then(instruction, self.settle(at + 1, Some(instruction.k))?)),
            AND => Some(Act::Then(instruction, self.settle(at + 1, None)?)),
            EQUAL | GREATER | NOT_LESS => {
                let holds = self.settle(at + 1 + usize::from(instruction.jt), word)?;
                let fails = self.settle(at + 1 + usize::from(instruction.jf), word)?;
                Some(Act::Branch(instruction, holds, fails))
            }
            _ => None,
        }
    }

    /// Goes on while it is known what happens.
    fn settle(&self, mut at: usize, mut word: Option<u32>) -> Option<Place> {
        loop {
            let instruction = self.code.get(at)?;
            let value = word.and_then(|word| self.value(word));
            match (instruction.code, value) {
                (ANSWER, _) => return Some(Place::Answer(instruction.k)),
                (SKIP, _) => at += 1 + instruction.k as usize,
                (LOAD, _) if word == Some(instruction.k) => at += 1,
                // It is not loaded in fact: what asks for it is answered here.
                (LOAD, _) if self.value(instruction.k).is_some() => {
                    word = Some(instruction.k);
                    at += 1;
                }
                // What was loaded before does not matter here.
                (LOAD, _) => return Some(Place::At(at, None)),
                (EQUAL | GREATER | NOT_LESS, Some(value)) => {
                    let holds = match instruction.code {
                        EQUAL => value == instruction.k,
                        GREATER => value > instruction.k,
                        _ => value >= instruction.k,
                    };
                    at += 1 + usize::from(if holds { instruction.jt } else { instruction.jf });
                }
                (AND | EQUAL | GREATER | NOT_LESS, None) => return Some(Place::At(at, word)),
                _ => return None,
            }
        }
    }

    fn value(&self, word: u32) -> Option<u32> {
        self.known.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }
}

/// One after the other; `None` where a branch would not reach.
fn lay_out(acts: &[(Place, Act)]) -> Option<Program> {
    // Whoever does not go on with what stands behind it needs a jump of its own.
    let jumps = |index: usize| match acts[index].1 {
        Act::Then(_, next) => acts.get(index + 1).is_none_or(|(behind, _)| *behind != next),
        Act::Branch(..) | Act::Answer(_) => false,
    };
    let mut positions = BTreeMap::new();
    let mut length = 0;
    for (index, (place, _)) in acts.iter().enumerate() {
        positions.insert(*place, length);
        length += 1 + usize::from(jumps(index));
    }
    let mut program = Program::with_capacity(length);
    for (index, (_, act)) in acts.iter().enumerate() {
        let distance = |from: usize, to: &Place| positions[to].checked_sub(from + 1);
        match act {
            Act::Answer(action) => program.push(answer(*action)),
            Act::Branch(instruction, holds, fails) => {
                let jt = u8::try_from(distance(program.len(), holds)?).ok()?;
                let jf = u8::try_from(distance(program.len(), fails)?).ok()?;
                program.push(libc::sock_filter { jt, jf, ..*instruction });
            }
            Act::Then(instruction, next) => {
                program.push(*instruction);
                if jumps(index) {
                    program.push(skip(distance(program.len(), next)?));
                }
            }
        }
    }
    Some(program)
}
