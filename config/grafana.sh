#!/bin/sh
# Starts Grafana, and makes a running one take its files:   grafana.sh start | reload | ask PATH
#
# What it says to Grafana it says as the admin whose password stands in a file: by a child that has the connection as its
# input and output, so that the password is in no command line.
set -u
files=${0%/*}
secret=$files/secrets/grafana_password
home=/usr/share/grafana
# Grafana knows a dashboard by the path of its file, and deletes it with that path: so the paths stay the same.
dashboards=/tmp/dashboards

copy() {
    mkdir -p "$dashboards"
    for file in "$files"/dashboards/*.json; do
        [ -e "$file" ] || continue
        cp "$file" "$dashboards/.new" && mv "$dashboards/.new" "$dashboards/${file##*/}"
    done
    for file in "$dashboards"/*.json; do
        [ -e "$files/dashboards/${file##*/}" ] || rm -f "$file"
    done
}

# The body of Grafana's answer; ends with 0 when it was 200, with 3 when the password is wrong.
request() {
    nc 127.0.0.1 3000 -e /bin/sh "$0" speak "$1" "$2" "${3-}" 3>&1
}

speak() {
    login=$(printf 'admin:%s' "$(cat "$secret")" | base64 | tr -d '\n')
    # 1.0: whoever speaks it gets no chunks.
    printf '%s %s HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Basic %s\r\n' "$1" "$2" "$login"
    printf 'Content-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' "${#3}" "$3"
    read -r _ status _
    while read -r line && [ "${#line}" -gt 1 ]; do :; done
    cat >&3
    case $status in
        200) exit 0 ;;
        401) exit 3 ;;
        *) exit 1 ;;
    esac
}

# After its first start Grafana looks at the password in its settings no more.
log_in() {
    request GET /api/user >/dev/null && return
    [ $? = 3 ] || return
    echo "Grafana gets the new password"
    "$home/bin/grafana" cli --homepath "$home" --config "$files/grafana.ini" admin reset-admin-password \
        --password-from-stdin <"$secret"
    request GET /api/user >/dev/null || return
    # Who is logged in by the old one is so no more.
    for session in $(request GET /api/user/auth-tokens | tr '{,' '\n\n' | sed -n 's/^"id":\([0-9]*\)$/\1/p'); do
        request POST /api/user/revoke-auth-token "{\"authTokenId\":$session}"
    done
}

reload() {
    copy
    log_in || { echo "Grafana does not take its admin's password"; exit 1; }
    for kind in datasources dashboards; do
        request POST "/api/admin/provisioning/$kind/reload" || { echo; echo "Grafana does not read its $kind"; exit 1; }
    done
    echo
    missing=0
    while read -r page digest; do
        request GET "$page" | grep -qF "$digest" || { echo "Grafana has not got what is declared: $page"; missing=1; }
    done <"$files/declared"
    exit "$missing"
}

case $1 in
    start)
        copy
        exec "$home/bin/grafana" server --homepath="$home" --config="$files/grafana.ini"
        ;;
    reload) reload ;;
    ask) request GET "$2" ;;
    speak) speak "$2" "$3" "$4" ;;
esac
