// SPDX-License-Identifier: Apache-2.0
//! What is Postfix's and nothing else's: attributes, main.cf, the status protocol, log lines.
