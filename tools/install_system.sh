#!/bin/sh
# Have the named system packages: installed through apt as root, otherwise named for somebody who may.
missing=""
for package in "$@"; do
    case $package in
        bubblewrap) test -x /usr/bin/bwrap ;;
        haproxy) test -x /usr/sbin/haproxy ;;
        debian-archive-keyring) test -e /usr/share/keyrings/debian-archive-keyring.gpg ;;
        *) dpkg -s "$package" >/dev/null 2>&1 ;;
    esac || missing="$missing $package"
done
test -z "$missing" && exit 0
if test "$(id -u)" -ne 0; then
    echo "These system packages are missing; install them as root and try again:" >&2
    echo "    apt-get install$missing" >&2
    exit 1
fi
echo "Installing system packages:$missing …"
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1 && exit 0
apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends $missing >/dev/null || {
    echo "apt-get could not install$missing; its own words are above" >&2
    exit 1
}
