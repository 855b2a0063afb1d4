// SPDX-License-Identifier: Apache-2.0
//! The subscriber: everyone else only says tracing events.
