#!/bin/sh
# Starts Grafana, and makes a running one take its files:   grafana.sh start | reload | ask PATH
#
# What it says to Grafana it says as the admin whose password stands in a file: by a child that has the connection as its
# input and output, so that the password is in no command line.
set -u
files=${0%/*}
secret=$files/secrets/grafana_password
home=/usr/share/grafana
data=/var/lib/grafana
# An image's own settings for Grafana, in its environment, would win over those of the files.
for name in $(env | sed -n 's/^\(GF_[A-Za-z0-9_]*\)=.*/\1/p'); do unset "$name"; done
export HOME="$home"
# Grafana knows a dashboard by the path of its file, and deletes it with that path: so the paths stay the same.
dashboards=/tmp/dashboards
folders=/tmp/folders

# A key of its own for what Grafana encrypts, made once: that of its defaults is known to everybody. Half a key is none.
make_key() {
    key=$data/secret_key
    [ ! -s "$key" ] || return 0
    rm -f "$key.new"
    (umask 377 && head -c 32 /dev/urandom | base64 | tr -d '\n' >"$key.new") && sync && mv -f "$key.new" "$key"
}

copy() {
    mirror "$files/dashboards" "$dashboards"
    for folder in "$files"/folders/* "$folders"/*; do
        [ ! -d "$folder" ] || mirror "$files/folders/${folder##*/}" "$folders/${folder##*/}"
    done
}

mirror() {
    mkdir -p "$2"
    for file in "$1"/*.json; do
        [ -e "$file" ] || continue
        cp "$file" "$2/.new" && mv "$2/.new" "$2/${file##*/}"
    done
    for file in "$2"/*.json; do
        [ -e "$1/${file##*/}" ] || rm -f "$file"
    done
}

# The body of Grafana's answer. Ends with 3 when the password is wrong, with 1 for any other answer than 200, and for none.
# 9: the nc of some images keeps 3 and 4 for itself.
request() {
    nc 127.0.0.1 3000 -e /bin/sh "$0" speak "$1" "$2" "${3-}" 9>&1
}

speak() {
    password=$(cat "$secret") || exit 1
    login=$(printf 'admin:%s' "$password" | base64 | tr -d '\n')
    # 1.0: whoever speaks it gets no chunks.
    printf '%s %s HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Basic %s\r\n' "$1" "$2" "$login"
    printf 'Content-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' "${#3}" "$3"
    read -r _ status _
    while read -r line && [ "${#line}" -gt 1 ]; do :; done
    body=$(cat)
    if [ "$status" = 200 ] && [ -n "$body" ]; then
        printf '%s\n' "$body" >&9
        exit
    fi
    echo "Grafana answers $2 with ${status:-nothing}: ${body:-an empty page}" >&2
    [ "$status" != 401 ] || exit 3
    exit 1
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
        request POST "/api/admin/provisioning/$kind/reload" || { echo "Grafana does not read its $kind"; exit 1; }
    done
    missing=0
    while read -r page digest; do
        request GET "$page" | grep -F "$digest" >/dev/null || { echo "Grafana has not got what is declared: $page"; missing=1; }
    done <"$files/declared"
    exit "$missing"
}

case $1 in
    start)
        make_key || { echo "Grafana cannot write its key beside its data"; exit 1; }
        copy
        exec "$home/bin/grafana" server --homepath="$home" --config="$files/grafana.ini"
        ;;
    reload) reload ;;
    ask) request GET "$2" ;;
    speak) speak "$2" "$3" "$4" ;;
esac
