#!/bin/sh
# mkdisk.sh FILE FILES_MB IMAGES_MB STORE_GUID MKSTORE [BOOT_DIR] - a disk for
# Aerostat: a GPT with a FAT32 volume for files and an image store behind it.
# With BOOT_DIR it starts the machine, too: in front come GRUB's room for BIOS
# and an EFI system partition with what is in BOOT_DIR, and GRUB is put where
# a BIOS looks. The installer lays out disks the same way (package Installer).
set -eu

file=$1 files_mb=$2 images_mb=$3 guid=$4 mkstore=$5 boot=${6-}
boot_mb=40      # the least that makes a FAT32 of one-sector clusters, and room
core=2048       # GRUB's core, in sectors of 512 bytes like everything here
esp=4096

# volume FIRST SECTORS LABEL
volume() {
    mformat -i "$file@@$(($1 * 512))" -F -c 1 -T "$2" -h 64 -s 32 -v "$3" ::
}

# The bytes of the arguments, in place at an offset.
poke() {
    at=$1
    shift
    for byte; do printf "\\$(printf %o "$byte")"; done |
        dd of="$file" bs=1 seek="$at" conv=notrunc status=none
}

rm -f "$file"
if [ -n "$boot" ]; then
    files=$((esp + boot_mb * 2048))
else
    files=2048
fi
images=$((files + files_mb * 2048))
truncate -s "$(((images + images_mb * 2048) / 2048 + 1))M" "$file"
if [ -n "$boot" ]; then
    set -- -n "1:$core:$((esp - 1))" -t 1:ef02 -c 1:GRUB \
        -n "2:$esp:$((files - 1))" -t 2:ef00 -c 2:Boot
    n=3
else
    set --
    n=1
fi
sgdisk -o "$@" \
    -n "$n:$files:$((images - 1))" -t "$n:0700" -c "$n:Files" \
    -n "$((n + 1)):$images:$((images + images_mb * 2048 - 1))" \
    -t "$((n + 1)):$guid" -c "$((n + 1)):Images" "$file" >/dev/null
volume "$files" $((files_mb * 2048)) AEROSTAT
"$mkstore" "$file" "$images" $((images_mb * 2048))

if [ -z "$boot" ]; then
    # A BIOS that tries this disk first is sent on to the next one (int 18h).
    poke 0 0xcd 0x18
    exit
fi
volume "$esp" $((boot_mb * 2048)) AEROBOOT
mcopy -s -i "$file@@$((esp * 512))" "$boot"/* ::

# bios.img is GRUB's boot sector, which knows where its core lies as it is
# built (sector 2048), and the core. The table's own part of the sector stays.
bios="$boot/boot/bios.img"
dd if="$bios" of="$file" bs=1 count=440 conv=notrunc status=none
dd if="$bios" of="$file" bs=512 skip=1 seek="$core" conv=notrunc status=none
# Some BIOSes start only disks with an active partition: one of no type.
poke 462 0x80 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0
