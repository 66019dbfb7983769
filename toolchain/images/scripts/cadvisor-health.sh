#!/bin/sh
# Asks cAdvisor at the port with which it was started.
port=8080
for argument in $(tr '\0' ' ' </proc/1/cmdline); do
    case $argument in
    -port=* | --port=*) port=${argument#*=} ;;
    esac
done
wget -q -O /dev/null "http://localhost:$port/healthz" || exit 1
