// SPDX-License-Identifier: Apache-2.0
//! A program that is started, limited, stopped or surrounded as nobody should: it serves all the same, or says why not.

mod begin;
mod exhausted;
mod races;
mod words;
