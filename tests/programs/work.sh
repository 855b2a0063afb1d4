# Ordinary work of a shell script: pipes, files, children, signals, and the small tools.
set -eu
d=$(mktemp -d)
trap 'rm -r "$d"' EXIT
printf 'b\na\n' | sort >"$d/sorted"
[ "$(tr '\n' ' ' <"$d/sorted")" = "a b " ]
[ "$(echo key=value | sed 's/.*=//')" = value ]
[ "$(seq 10 | awk '{ sum += $1 } END { print sum }')" = 55 ]
[ "$(seq 3 | xargs -n1 expr 1 + | tail -1)" = 4 ]
echo x | grep -q '^x$'
(sleep 0.01; echo done >"$d/background") &
wait $!
[ "$(cat "$d/background")" = "done" ]
mkfifo "$d/fifo"
echo through >"$d/fifo" &
read -r word <"$d/fifo"
[ "$word" = through ]
cat >"$d/here" <<END
$(basename "$d/here")
END
[ "$(find "$d" -name here -exec cat {} +)" = here ]
sh -c 'kill -PIPE $$' || [ $? = 141 ]
tar -C "$d" -cf - sorted | gzip | gunzip | tar -tf - | grep -qx sorted
[ "$(date +%s)" -gt 0 ]
echo works
