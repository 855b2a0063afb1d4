# A service and its client, both of socat and on this session's own loopback.
set -eu
socat TCP-LISTEN:7000,bind=127.0.0.1,reuseaddr SYSTEM:'tr A-Z a-z' &
server=$!
for moment in 1 2 3 4 5 6 7 8 9 10; do
    said=$(echo WORKS | socat -t5 - TCP:127.0.0.1:7000 2>/dev/null) && break
    sleep 0.2
done
wait $server
echo "$said"
