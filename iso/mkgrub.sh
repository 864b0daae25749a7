#!/bin/sh
# mkgrub.sh DIR - GRUB for disks, sticks and CDs, with all it needs inside:
# DIR/boot/bios.img (boot sector, then core), DIR/EFI/BOOT/BOOTX64.EFI and
# BOOTIA32.EFI, the names that UEFI looks for on any disk.
set -eu

dir=$1
lib=/usr/lib/grub
common="part_gpt part_msdos fat iso9660 normal multiboot2 cpuid keystatus \
test true echo sleep halt serial terminal regexp"
core_at=2048    # where bios.img expects the core; the installer may change it

mkdir -p "$dir/boot" "$dir/EFI/BOOT"
for target in x86_64:BOOTX64 i386:BOOTIA32; do
    # Found beside the file itself: no device in the prefix.
    grub-mkimage -O "${target%:*}-efi" -p /boot/grub \
        -o "$dir/EFI/BOOT/${target#*:}.EFI" $common efi_gop efi_uga
done

# A BIOS tells the disk but no partition: the boot volume goes by its label,
# on the disk that was started if there are several.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/early.cfg" <<'CFG'
search.fs_label AEROBOOT root ${root},
set prefix=($root)/boot/grub
CFG
grub-mkimage -O i386-pc -p /boot/grub -c "$tmp/early.cfg" -o "$tmp/core" \
    $common biosdisk search_label vbe chain

# The numbers that grub-bios-setup would fill in: in the boot sector the
# core's place (0x5c) and no special case for floppies (0x66), in the core's
# first sector the place and length of the rest (the last 12 bytes).
cp "$lib/i386-pc/boot.img" "$tmp/boot"
truncate -s %512 "$tmp/core"
rest=$(($(stat -c %s "$tmp/core") / 512 - 1))
put() { # FILE OFFSET BYTE...
    f=$1 at=$2
    shift 2
    for byte; do printf "\\$(printf %o "$byte")"; done |
        dd of="$f" bs=1 seek="$at" conv=notrunc status=none
}
put "$tmp/boot" 92 $((core_at % 256)) $((core_at / 256)) 0 0 0 0 0 0
put "$tmp/boot" 102 0x90 0x90
put "$tmp/core" 500 $(((core_at + 1) % 256)) $(((core_at + 1) / 256)) \
    0 0 0 0 0 0 $((rest % 256)) $((rest / 256)) 0x20 0x08
cat "$tmp/boot" "$tmp/core" >"$dir/boot/bios.img"
