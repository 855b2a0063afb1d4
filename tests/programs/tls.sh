# A TLS server and a client that checks its certificate, both on this session's own loopback.
set -eu
cd /tmp
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 -keyout key -out certificate 2>/dev/null
openssl s_server -accept 127.0.0.1:4433 -key key -cert certificate -naccept 1 -quiet -www >/dev/null 2>&1 &
server=$!
for moment in 1 2 3 4 5 6 7 8 9 10; do
    if printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -connect 127.0.0.1:4433 -CAfile certificate \
        -verify_return_error -quiet >said 2>/dev/null; then break; fi
    sleep 0.2
done
wait $server
grep -q '^HTTP/1.0 200 ok' said
echo works
