# Boot media: the CD image, the stick image with room to save on it, and the
# disk that `make run` keeps.

DISK_FILES_MB ?= 256
DISK_STORE_MB ?= 766
STICK_FILES_MB ?= 64
STICK_STORE_MB ?= 256
STORE_GUID := 7A05E7A0-4D70-4E4F-B00B-5A11BA110001
ACCEL ?= tcg
MEM ?= 512
# Where `make run` keeps what is saved, and where it shows itself without a
# display here.
DISK ?= $(BUILD)/disk.img
VNC ?= 127.0.0.1:0

I := $(BUILD)/iso
# Another image may travel instead, or none: `make iso ISO_IMAGE=`
ISO_IMAGE ?= $(BUILD)/aerostat.image
GRUB_MKRESCUE := grub-mkrescue --compress=xz --fonts= --locales= --themes=

$(BUILD)/mkstore: iso/mkstore.c kernel/store.c drivers/block.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -I. $(WARN) -o $@ $^

# What CD and stick hold, and what the installer puts on disks.
$(I)/.staged: iso/grub.cfg iso/mkgrub.sh $(BUILD)/kernel.elf $(ISO_IMAGE)
	$(Q)rm -rf $(I) && mkdir -p $(I)/root/boot/grub
	$(Q)sh iso/mkgrub.sh $(I)/root
	$(Q)cp iso/grub.cfg $(I)/root/boot/grub/
	$(Q)cp $(BUILD)/kernel.elf $(I)/root/boot/
	$(Q)$(if $(ISO_IMAGE),cp $(ISO_IMAGE) $(I)/root/boot/aerostat.img)
	$(Q)touch $@

$(BUILD)/aerostat.iso: $(I)/.staged
	$(call say,ISO,$@)
	$(Q)$(GRUB_MKRESCUE) -o $@ $(I)/root --mbr-force-bootable \
	  >$(I)/log 2>&1 || { cat $(I)/log; exit 1; }

$(BUILD)/aerostat-stick.img: iso/mkdisk.sh $(I)/.staged $(BUILD)/mkstore
	$(call say,STICK,$@)
	$(Q)sh iso/mkdisk.sh $@ $(STICK_FILES_MB) $(STICK_STORE_MB) \
	  $(STORE_GUID) $(BUILD)/mkstore $(I)/root

# Made once and then kept: what is saved under `make run` lives here.
$(DISK): | $(BUILD)/mkstore
	$(call say,DISK,$@)
	$(Q)sh iso/mkdisk.sh $@.new $(DISK_FILES_MB) $(DISK_STORE_MB) \
	  $(STORE_GUID) $(BUILD)/mkstore
	$(Q)mv $@.new $@

# The same, small and unused: tests copy it.
$(BUILD)/blank-disk.img: iso/mkdisk.sh $(BUILD)/mkstore
	$(call say,DISK,$@)
	$(Q)sh iso/mkdisk.sh $@ 64 190 $(STORE_GUID) $(BUILD)/mkstore

iso: $(BUILD)/aerostat.iso ## the CD image, for BIOS and UEFI
stick: $(BUILD)/aerostat-stick.img ## the image for a USB stick, with room to save
.PHONY: iso stick

# --- make run ---

QEMU_RUN = qemu-system-x86_64 -M q35 -accel $(ACCEL) -m $(MEM) -vga std \
  -cdrom $(BUILD)/aerostat.iso -boot d \
  -drive if=none,id=disk,format=raw,file=$(DISK) \
  -device virtio-blk-pci,drive=disk -serial stdio

QEMU_DIRECT = qemu-system-x86_64 -M q35 -accel $(ACCEL) -m $(MEM) -vga std \
  -kernel $(BUILD)/kernel.elf -initrd $(ISO_IMAGE) -append "$(ARGS)" \
  -drive if=none,id=disk,format=raw,file=$(DISK) \
  -device virtio-blk-pci,drive=disk -serial stdio

run-qemu: $(BUILD)/aerostat.iso $(DISK)
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then \
	  exec $(QEMU_RUN); \
	else \
	  echo "No display here: connect a VNC viewer to $(VNC)," \
	    "where display 0 is port 5900"; \
	  exec $(QEMU_RUN) -display none -vnc $(VNC); \
	fi

# The kernel alone, stopped at its entry until gdb says so.
debug: $(BUILD)/kernel.elf $(ISO_IMAGE) $(DISK) ## QEMU waiting for gdb
	@echo "gdb -ex 'target remote :1234' $(BUILD)/metal/kernel.debug"
	$(QEMU_DIRECT) -S -gdb tcp:127.0.0.1:1234 -vnc 127.0.0.1:0
.PHONY: run-qemu debug
