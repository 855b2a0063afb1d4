#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A lookup table as tcp_table(5) has them: a line each for question and answer. Starts a program for every lookup, and
# logger(1) once for a connection, as tables that are scripts do.
logger -t table -p mail.info connected
while read -r verb key; do
    case $verb in
        get)
            value=$(sed -n "s/^$key //p" /usr/local/lib/spawnbox/table)
            if [ -n "$value" ]; then echo "200 PREPEND%20X-Table:%20$value"; else echo "500 not%20found"; fi
            ;;
        *) echo "400 unknown%20request" ;;
    esac
done
