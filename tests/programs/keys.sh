# Ordinary work of a Java program: it makes a key, stores it, and reads it again.
set -eu
password=changeit
keytool -genkeypair -alias key -keyalg EC -keystore /tmp/store -storepass $password -dname CN=localhost 2>/dev/null
keytool -list -keystore /tmp/store -storepass $password | grep -q 'key, .*PrivateKeyEntry'
echo works
