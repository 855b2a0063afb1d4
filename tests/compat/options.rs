// SPDX-License-Identifier: Apache-2.0
//! The command line that master gives, and running the daemon by hand.

use super::row::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("options_attached", "The options are getopt(3)'s: a value may be attached.")
            .options("-omax_use=5 -i5s -m5 -oexport_environment=A=1")
            .runs("user=nobody argv=/usr/bin/env")
            .prints("A=1\nPATH=/usr/bin:/bin\n"),
        row("options_double_dash", "-- ends the options.")
            .options("--")
            .runs("user=nobody argv=/bin/echo x")
            .prints("x\n"),
        row("options_double_dash_then_option", "After -- an option is an attribute.")
            .options("-- -v")
            .refused("unknown attribute name: -v"),
        row("options_after_attribute", "Parsing stops at the first word that is no option.")
            .runs("user=nobody -v argv=/bin/cat")
            .refused("unknown attribute name: -v"),
        row("options_single_dash", "A single - is no option.").options("-").refused("unknown attribute name: -"),
        row("option_o_braces", "-o { name = value }: whitespace around the name and the value is removed.")
            .options("-o {  export_environment  =  A=1  } ")
            .runs("user=nobody argv=/usr/bin/env")
            .prints("A=1\nPATH=/usr/bin:/bin\n"),
        row("option_o_unknown", "-o may set a parameter that nobody knows.")
            .options("-o no_such_parameter=x")
            .prints(""),
        row("option_r", "-r: a retirement time, which spawn has no use for").options("-r 1").prints(""),
        row("option_d", "-d: not a daemon, which matters on a terminal only").options("-d").prints(""),
        row("option_v_many", "-v may be repeated").options("-V -v -v -v").prints("").says("connection established"),
        row("refuse_option", "invalid option: x").options("-x").ends("invalid option: x"),
        row("refuse_option_clustered", "invalid option: q, also among others").options("-vq").ends("invalid option: q"),
        row("refuse_o_without_equals", "invalid \"-o foo\" option value: missing '=' after attribute name")
            .options("-o foo")
            .ends("invalid \"-o foo\" option value: missing '=' after attribute name"),
        row("refuse_o_without_name", "invalid \"-o =x\" option value: missing attribute name")
            .options("-o =x")
            .ends("invalid \"-o =x\" option value: missing attribute name"),
        row("refuse_s_zero", "invalid socket_count").options("-s 0").ends("invalid socket_count: 0"),
        row("refuse_r_zero", "invalid retirement time").options("-r x").ends("invalid retirement time: x"),
        row("refuse_unprivileged_column", "unprivileged y: service NAME requires privileged operation")
            .columns("unix - y n - 0")
            .ends("service @name requires privileged operation"),
        row("max_idle_zero", "max_idle = 0 is refused at start").options("-i 0").ends("invalid max_idle: 0 (min 1)"),
    ]
}
