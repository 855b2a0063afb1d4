#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A policy server that refuses mail for a full mailbox, by the file maildirsize of Maildir++: the first line has the quota
# in bytes (`1000S`), each other line a number of bytes that came or went.
use strict;
use warnings;
use Sys::Syslog qw(:standard :macros);

openlog("quota", "pid", LOG_MAIL);
$| = 1;
my %request;
while (my $line = <STDIN>) {
    chomp $line;
    if ($line =~ /^([a-z_]+)=(.*)$/) { $request{$1} = $2; next }
    my $answer = answer();
    syslog(LOG_INFO, "%s: %s", $request{recipient} // "", $answer);
    print "action=$answer\n\n";
    %request = ();
}

sub answer {
    my ($name, $domain) = ($request{recipient} // "") =~ /^([\w-]+(?:\.[\w-]+)*)@([\w-]+(?:\.[\w-]+)*)$/ or return "DUNNO";
    open(my $file, "<", "/var/vmail/$domain/$name/maildirsize") or return $!{ENOENT} ? "DUNNO" : "DEFER cannot look: $!";
    my ($quota) = (<$file> // "") =~ /^(\d+)S/ or return "DUNNO";
    my $used = $request{size} // 0;
    while (<$file>) { $used += $1 if /^\s*(-?\d+)/ }
    return $used > $quota ? "REJECT 5.2.2 mailbox full" : "DUNNO";
}
