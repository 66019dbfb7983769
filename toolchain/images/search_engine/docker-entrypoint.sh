#!/bin/sh
# Starts Elasticsearch or OpenSearch as their official images do: settings from environment variables in small letters with
# a dot. Any other command than the server's is run as it stands. What differs between the two is in server.sh.
set -eu
case ${1:-} in
'' | eswrapper | opensearch) ;;
*) exec "$@" ;;
esac
scratch=$(mktemp -d)

# The shell drops variables whose names have dots. Settings of modules that are not there would be refused.
tr '\0' '\n' </proc/$$/environ | grep -E '^[a-z0-9_]+\.[a-z0-9_.]+=.' |
    grep -vE '^(ingest\.geoip|plugins\.security)\.' >"$scratch/settings" || true

server() {
    exec jdk/bin/java -Xms512m -Xmx512m -Xss1m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MaxDirectMemorySize=128m \
        -Djava.io.tmpdir="$scratch" -Djava.awt.headless=true \
        -Dio.netty.noUnsafe=true -Dio.netty.noKeySetOptimization=true -Dio.netty.recycler.maxCapacityPerThread=0 \
        "$@"
}
. /usr/local/bin/server.sh
