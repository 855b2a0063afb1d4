// SPDX-License-Identifier: Apache-2.0
//! The only unsafe code: one system call a function, errno out, no decisions.
#![allow(unsafe_code)]

pub mod socket;
