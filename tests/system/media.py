"""The boot paths: what is booted, and from where (test_matrix.py, bench)."""
from machine import FIRMWARE

DRIVE = ["-drive", "if=none,id=d,format=raw,file={0}"]

# It saves there, too, but for the CD.
MEDIA = {
    "CD": ["-boot", "d", "-cdrom", "{0}"],
    "stick, xHCI": DRIVE + ["-device", "qemu-xhci,id=x",
                            "-device", "usb-storage,bus=x.0,drive=d"],
    "stick, EHCI": DRIVE + ["-device", "usb-ehci,id=e",
                            "-device", "usb-storage,bus=e.0,drive=d"],
    "AHCI": DRIVE + ["-device", "ide-hd,drive=d,bus=ide.0"],
    "NVMe": DRIVE + ["-device", "nvme,drive=d,serial=n"],
    "IDE": DRIVE + ["-device", "ide-hd,drive=d,bus=ide.0"],
    "virtio-blk": DRIVE + ["-device", "virtio-blk-pci,drive=d"],
    "virtio-scsi": DRIVE + ["-device", "virtio-scsi-pci",
                            "-device", "scsi-hd,drive=d"],
}
PATHS = [(firmware, medium) for firmware in ("seabios", "ovmf")
         for medium in MEDIA]


def board(medium):
    return "pc" if medium == "IDE" else "q35"


def arguments(firmware, medium, *files):
    return [a.format(*files) for a in FIRMWARE[firmware] + MEDIA[medium]]
