#!/bin/sh
# Says which Debian packages of iso/packages.txt are missing and installs them
# in one apt call: as root, or through sudo after showing the line.
set -eu

list=$(dirname "$0")/packages.txt
missing=
for package in $(grep -v '^#' "$list"); do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "Missing Debian packages:$missing"
command -v apt-get >/dev/null || {
    echo "This is not a Debian system: install them your way, then try again."
    exit 1
}
line="env DEBIAN_FRONTEND=noninteractive apt-get install -y \
--no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    $line
else
    echo "sudo apt-get update && sudo $line"
    sudo apt-get update -qq
    sudo $line
fi
