#!/bin/sh
# Options alone are options of haproxy; haproxy itself runs in the foreground, as master of its workers.
case "$1" in
-*) set -- haproxy "$@" ;;
esac
if [ "$1" = haproxy ]; then
    shift
    set -- haproxy -W -db "$@"
fi
exec "$@"
