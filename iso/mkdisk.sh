#!/bin/sh
# mkdisk.sh FILE MEGABYTES STORE_GUID MKSTORE - an empty disk for Aerostat: a
# GPT with a FAT32 volume for files and an image store behind it.
set -eu

file=$1 megabytes=$2 guid=$3 mkstore=$4
first=2048                                  # sectors of 512 bytes
fat=$((megabytes / 4 * 2048))
store_first=$((first + fat))
store=$((megabytes * 2048 - store_first - 2048))

rm -f "$file"
truncate -s "${megabytes}M" "$file"
sgdisk -o \
    -n "1:$first:$((store_first - 1))" -t 1:0700 -c 1:Files \
    -n "2:$store_first:$((store_first + store - 1))" -t "2:$guid" -c 2:Images \
    "$file" >/dev/null
mformat -i "$file@@$((first * 512))" -F -c 1 -T "$fat" -h 64 -s 32 -v AEROSTAT ::
"$mkstore" "$file" "$store_first" "$store"
# A BIOS that tries this disk first is sent on to the next one (int 18h).
printf '\315\030' | dd of="$file" conv=notrunc status=none
