#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A lookup table as socketmap_table(5) has them: a netstring each for question and answer.
use strict;
use warnings;
use Sys::Syslog qw(:standard :macros);

openlog("socketmap", "pid", LOG_MAIL);
syslog(LOG_INFO, "connected");
binmode STDIN;
binmode STDOUT;
$| = 1;
my %table;
open(my $file, "<", "/usr/local/lib/spawnbox/table") or die "no table: $!";
while (<$file>) { $table{$1} = $2 if /^(\S+) (.*)$/ }
while (defined(my $question = netstring())) {
    my ($map, $key) = split / /, $question, 2;
    my $value = $table{ $key // "" };
    my $answer = $map ne "table" ? "PERM no such map" : defined $value ? "OK PREPEND X-Table: $value" : "NOTFOUND ";
    print length($answer), ":$answer,";
}

sub netstring {
    my ($length, $text, $end) = ("", "", "");
    while (read(STDIN, my $digit, 1)) {
        last if $digit eq ":";
        die "not a length" unless $digit =~ /^\d$/ && length($length) < 6;
        $length .= $digit;
    }
    return undef if $length eq "";
    die "cut short" unless read(STDIN, $text, $length) == $length && read(STDIN, $end, 1) && $end eq ",";
    return $text;
}
