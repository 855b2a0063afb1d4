// SPDX-License-Identifier: Apache-2.0
#![doc = include_str!("recipes.md")]

/// The page above. The integration tests run it.
pub const PAGE: &str = include_str!("recipes.md");
