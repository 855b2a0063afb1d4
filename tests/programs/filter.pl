#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# An after-queue content filter as FILTER_README has it: it passes each command on to the next hop and each reply back,
# keeps a message until it has all of it, marks it, and only then sends it on: filter.pl HOST PORT.
use strict;
use warnings;
use IO::Socket::INET;
use Sys::Syslog qw(:standard :macros);

my ($host, $port) = @ARGV;
my $next = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => "tcp")
    or hang_up("421 4.3.0 the next hop does not answer");
$| = 1;
binmode STDIN;
binmode STDOUT;
pass();
while (defined(my $command = <STDIN>)) {
    print $next $command;
    my $reply = pass();
    last if $command =~ /^QUIT/i;
    message() if $command =~ /^DATA/i && $reply =~ /^354/;
}

# Brings the next hop's reply back, without the extensions that this filter does not speak, and returns its last line.
sub pass {
    my @reply;
    do { push @reply, scalar(<$next>) // hang_up("421 4.3.0 the next hop hung up") } while $reply[-1] =~ /^\d{3}-/;
    @reply = grep { !/^250[- ](PIPELINING|CHUNKING|STARTTLS|AUTH)/i } @reply;
    $reply[-1] =~ s/^(\d{3})-/$1 /;
    print @reply;
    return $reply[-1];
}

sub message {
    open(my $kept, "+>", "/tmp/message.$$") or hang_up("451 4.3.0 no place for the message: $!");
    my $ended = 0;
    while (defined(my $line = <STDIN>)) {
        if ($line eq ".\r\n") { $ended = 1; last }
        print $kept $line;
    }
    # Whoever sent it will send it again.
    exit 1 unless $ended;
    seek($kept, 0, 0) or hang_up("451 4.3.0 cannot read the message: $!");
    print $next "X-Filter: passed\r\n";
    while (defined(my $line = <$kept>)) { print $next $line }
    close $kept;
    unlink "/tmp/message.$$";
    print $next ".\r\n";
    pass();
}

sub hang_up {
    my ($reply) = @_;
    openlog("filter", "pid", LOG_MAIL);
    syslog(LOG_WARNING, "%s", $reply);
    print "$reply\r\n";
    exit 1;
}
