# Tests: C unit tests against the hosted objects, the image's own tests, QEMU.
# `make test` is the whole proof; tests/run.py adds the suites up.

T := $(BUILD)/tests
IMAGE := $(BUILD)/aerostat.image
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined
UNIT_CFLAGS := -std=gnu11 -g -O1 -I. $(WARN) -Wno-missing-prototypes $(SAN)

UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_VM := $(patsubst %.c,$(BUILD)/asan/%.o,$(VM_SRC))

UNIT_NO_VM := test_store test_fat test_partition test_cmdline test_frames \
  test_acpi test_storage test_grow test_usb test_xhci test_ehci test_asm \
  test_vmm test_ids test_reach test_log_text test_qr test_acpi_tables \
  test_apic test_efi test_efi_call test_find_bytes \
  test_timer
UNIT_EXTRA_test_efi_call := kernel/efi.S
UNIT_EXTRA_test_usb := drivers/usb/usb.c drivers/usb/usb_hub.c \
  drivers/usb/usb_descriptor.c drivers/usb/usb_hid.c \
  drivers/usb/hid_report.c drivers/usb/usb_storage.c drivers/scsi.c \
  drivers/input.c drivers/keymap.c drivers/block.c drivers/block_dma.c \
  kernel/work.c
UNIT_EXTRA_fuzz_usb := $(UNIT_EXTRA_test_usb)
UNIT_EXTRA_test_ehci := $(UNIT_EXTRA_test_usb) drivers/usb/ehci.c \
  drivers/usb/ehci_pipe.c
UNIT_EXTRA_test_xhci := $(UNIT_EXTRA_test_usb) drivers/usb/xhci.c \
  drivers/usb/xhci_ring.c drivers/usb/xhci_device.c
UNIT_EXTRA_test_ids := kernel/ids.c
UNIT_EXTRA_test_find_bytes := vm/primitives/find_bytes.c
UNIT_EXTRA_test_qr := kernel/qr.c
UNIT_EXTRA_test_acpi_tables := kernel/acpi_s5.c
UNIT_EXTRA_test_reach := kernel/reach.c
UNIT_EXTRA_test_log_text := kernel/log_text.c kernel/panic_digest.c
UNIT_EXTRA_test_asm := vm/jit/asm_x64.c
UNIT_EXTRA_test_cmdline := kernel/cmdline.c
UNIT_EXTRA_test_frames := kernel/frames.c kernel/test_pattern.c
UNIT_EXTRA_test_acpi := kernel/acpi_s5.c kernel/rtc.c
UNIT_EXTRA_test_store := kernel/store.c drivers/block.c
UNIT_EXTRA_test_fat := kernel/fat.c kernel/fat_dir.c kernel/fat_volume.c \
  drivers/block.c
UNIT_EXTRA_test_storage := kernel/storage.c kernel/disk_format.c \
  kernel/fat.c kernel/fat_dir.c kernel/fat_volume.c kernel/fat_format.c \
  kernel/fs.c kernel/gpt.c kernel/partition.c kernel/store.c drivers/block.c
UNIT_EXTRA_test_grow := kernel/grow.c kernel/gpt.c kernel/partition.c \
  kernel/store.c drivers/block.c
UNIT_EXTRA_test_partition := kernel/partition.c drivers/block.c

UNIT_NO_VM += test_ahci test_nvme
UNIT_EXTRA_test_nvme := drivers/block.c drivers/block_dma.c
UNIT_EXTRA_test_ahci := drivers/ata.c drivers/block.c drivers/block_dma.c \
  kernel/work.c
UNIT_NO_VM += test_virtio test_virtio_input test_pixels test_edid test_modes
UNIT_NO_VM += test_display test_virtio_gpu test_vbe test_vmmouse
UNIT_EXTRA_test_vmmouse := drivers/input.c drivers/keymap.c kernel/work.c
UNIT_EXTRA_test_vbe := drivers/pixels.c drivers/modes.c drivers/edid.c
UNIT_EXTRA_test_pixels := drivers/pixels.c
UNIT_EXTRA_test_display := drivers/pixels.c drivers/modes.c drivers/edid.c
UNIT_EXTRA_test_virtio_gpu := drivers/display.c drivers/modes.c \
  drivers/edid.c kernel/work.c
UNIT_EXTRA_test_edid := drivers/edid.c
UNIT_EXTRA_test_modes := drivers/modes.c
UNIT_EXTRA_fuzz_edid := drivers/edid.c drivers/modes.c
UNIT_EXTRA_test_virtio_input := drivers/input.c drivers/keymap.c \
  kernel/work.c

# A unit test may name what else it needs: UNIT_EXTRA_test_x := kernel/fat.c
$(foreach t,$(UNIT),$(eval $(T)/$(t): $(UNIT_EXTRA_$(t))))
$(UNIT:%=$(T)/%): $(wildcard tests/unit/*.h)
$(T)/test_vmm: kernel/vmm.c
$(T)/test_ahci: drivers/ahci.c
$(T)/test_nvme: drivers/nvme.c
$(T)/test_virtio: drivers/virtio.c
$(T)/test_virtio_gpu: drivers/virtio_gpu.c
$(T)/test_vbe: drivers/vbe.c
$(T)/test_vmmouse: drivers/vmmouse.c
$(T)/test_display: drivers/display.c drivers/framebuffer.c
$(T)/test_virtio_input: drivers/virtio_input.c
$(T)/%: tests/unit/%.c
	$(call say,TEST,$*)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -o $@ $< $(UNIT_EXTRA_$*) \
	  $(if $(filter $*,$(UNIT_NO_VM)),,$(UNIT_VM) \
	  tests/unit/plat_stub.c) \
	  -lcmocka -lm

# Fuzz targets run without a fuzzer: PROGRAM RUNS damages its own seeds
# (tests/fuzz/fuzz.h). All but the image's need no VM.
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT_NO_VM += $(filter-out fuzz_image,$(FUZZ))
UNIT_EXTRA_fuzz_acpi := kernel/acpi_s5.c
UNIT_EXTRA_fuzz_boot := boot/boot.c boot/multiboot2.c boot/pvh.c \
  kernel/cmdline.c
UNIT_EXTRA_fuzz_fat := $(UNIT_EXTRA_test_fat)
UNIT_EXTRA_fuzz_partition := $(UNIT_EXTRA_test_partition)
UNIT_EXTRA_fuzz_store := drivers/block.c
$(FUZZ:%=$(T)/%): tests/fuzz/fuzz.h
$(patsubst %,$(T)/%,$(filter-out $(UNIT_NO_VM),$(UNIT) $(FUZZ))): \
  $(UNIT_VM) tests/unit/plat_stub.c
$(T)/fuzz_acpi $(T)/test_acpi_tables: kernel/acpi.c
$(T)/test_apic: kernel/apic.c
$(T)/test_timer: kernel/timer.c
$(T)/test_efi: kernel/efi.c
$(T)/fuzz_store: kernel/store.c
$(foreach t,$(FUZZ),$(eval $(T)/$(t): $(UNIT_EXTRA_$(t))))
$(T)/%: tests/fuzz/%.c
	$(call say,TEST,$*)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -o $@ $< $(UNIT_EXTRA_$*) \
	  $(if $(filter $*,$(UNIT_NO_VM)),,$(UNIT_VM) \
	  tests/unit/plat_stub.c) -lm

FUZZ_RUNS := 20000
RUNS_fuzz_store := 4000
FUZZ_SUITES = $(foreach t,$(FUZZ),"fuzz $(t:fuzz_%=%)=timeout 300 $(T)/$(t) $(or $(RUNS_$(t)),$(FUZZ_RUNS))")

# The same with clang's fuzzer, which looks for new paths as long as told;
# what it learns and finds is kept in build/fuzz.
LIBFUZZER := -std=gnu11 -g -O1 -I. -DLIBFUZZER \
  -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
FUZZ_SECONDS := 60
fuzz: $(FUZZ:fuzz_%=fuzz-%) ## fuzz with clang, FUZZ_SECONDS (60) a target
fuzz-%: $(T)/fuzz_%
	@mkdir -p $(BUILD)/fuzz/$*
	$(Q)$< --seeds $(BUILD)/fuzz/$*
	$(Q)clang $(LIBFUZZER) -o $(BUILD)/fuzz/$*.run tests/fuzz/fuzz_$*.c \
	  $(UNIT_EXTRA_fuzz_$*) \
	  $(if $(filter fuzz_$*,$(UNIT_NO_VM)),,-DNO_JIT \
	  $(filter-out vm/jit/%,$(VM_SRC)) tests/unit/plat_stub.c) -lm
	$(Q)$(BUILD)/fuzz/$*.run -max_total_time=$(FUZZ_SECONDS) -timeout=25 \
	  -max_len=140000 -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/$*
.PHONY: fuzz
UNIT_SUITES = $(foreach t,$(UNIT),"unit $(t:test_%=%)=timeout 300 $(T)/$(t)")
# Debian's own, if another one is first in PATH: pytest comes from a package.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
HOSTED := timeout 900 $(BUILD)/aerostat --headless
ASAN := timeout 1500 $(BUILD)/asan/aerostat --headless

unit: $(UNIT:%=$(T)/%) $(FUZZ:%=$(T)/%) ## run the C unit and fuzz tests
	@tests/run.py $(UNIT_SUITES) $(FUZZ_SUITES)

lint: $(BUILD)/aerostat ## check the doors of the house
	@tests/lint.py

# Ways to run an image. Thresholds of 0 compile all that is called, at once.
MODES := interpreted baseline both both-at-once both-after-one deopt
OPTIONS_interpreted := --jit=off
OPTIONS_baseline := --jit=1 --jit-threshold=0
OPTIONS_both :=
OPTIONS_both-at-once := --jit-threshold=0 --jit-threshold2=0
OPTIONS_both-after-one := --jit-threshold=1 --jit-threshold2=1
OPTIONS_deopt := $(OPTIONS_both-at-once) --jit-stress=deopt
STRESS := --stress-gc --check-heap
# Image tests write beside where they run: these do it in a folder of theirs.
STRESSED = "image tests, gc stress: $(1)=mkdir -p $(BUILD)/stress/$(1) && \
  cp $(BUILD)/aerostat $(IMAGE) $(BUILD)/stress/$(1) && \
  cd $(BUILD)/stress/$(1) && timeout 1800 ./aerostat --headless \
  $(OPTIONS_$(1)) --stress-gc $(notdir $(IMAGE)) test"
LANG := $(IMAGE) langtest tests/lang/*.st
DIFFER := $(PYTHON) tests/fuzz/jit_differ.py $(BUILD)/aerostat $(IMAGE)

# The lanes are about as long as one another.
IMAGE_LANE = $(foreach m,$(MODES), \
  "image tests: $(m)=$(HOSTED) $(OPTIONS_$(m)) $(IMAGE) test" \
  "language files: $(m)=$(HOSTED) $(OPTIONS_$(m)) $(LANG)")
UNIT_LANE = "lint=tests/lint.py" $(UNIT_SUITES) $(FUZZ_SUITES)
STRESS_LANE = \
  "compiled as interpreted=timeout 900 $(DIFFER) 1 12" \
  $(foreach m,interpreted both-at-once, \
    "language files, asan: $(m)=$(ASAN) $(OPTIONS_$(m)) $(LANG)") \
  $(foreach m,interpreted baseline both-at-once, \
    "language files, gc stress: $(m)=$(ASAN) $(OPTIONS_$(m)) $(STRESS) $(LANG)") \
  $(call STRESSED,both-at-once)
SYSTEM_SUITES = \
  "hosted and machine=$(PYTHON) -m pytest -n 2 -q -rsf -p no:cacheprovider tests/system"

FAST_NEEDS = $(BUILD)/aerostat $(IMAGE) $(UNIT:%=$(T)/%) \
  $(FUZZ:%=$(T)/%)
SLOW_NEEDS = $(BUILD)/asan/aerostat $(BUILD)/kernel.elf $(BUILD)/aerostat.iso \
  $(BUILD)/aerostat-stick.img $(BUILD)/blank-disk.img

test-fast: deps ## the proof without QEMU and sanitizers, some minutes
	@$(MAKE) --no-print-directory test-fast-run
test: deps ## the whole proof; closes with `N passed, M failed`
	@$(MAKE) --no-print-directory test-run
test-matrix: deps ## every boot path with every disk, keyboard and pointer
	@$(MAKE) --no-print-directory test-matrix-run
test-matrix-run: $(SLOW_NEEDS)
	@MATRIX=full $(PYTHON) -m pytest -n 2 -q -rsf -p no:cacheprovider \
	  tests/system/test_matrix.py
test-fast-run: $(FAST_NEEDS)
	@tests/run.py $(IMAGE_LANE) -- $(UNIT_LANE) --
test-run: $(FAST_NEEDS) $(SLOW_NEEDS)
	@tests/run.py $(IMAGE_LANE) $(call STRESSED,interpreted) -- \
	  $(UNIT_LANE) $(STRESS_LANE) -- $(SYSTEM_SUITES)

.PHONY: unit lint test test-fast test-run test-fast-run test-matrix \
  test-matrix-run

# Beside pixman (libpixman-1-dev) where it is installed; nothing else needs it.
PIXMAN := $(shell pkg-config --libs --cflags pixman-1 2>/dev/null)
BENCH_VM := $(patsubst %.c,$(BUILD)/hosted/%.o,$(VM_SRC))
$(BUILD)/bench/blits: tests/bench/blits.c tests/unit/plat_stub.c $(BENCH_VM)
	$(call say,BENCH,blits)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VM_CFLAGS) -o $@ $^ $(PIXMAN) -lcmocka -lm
LANDCHECK += $(if $(PIXMAN),$(BUILD)/bench/blits)

# BENCH='Richards Json boot' chooses rows, ROUNDS=5 how often.
BENCH_NEEDS := $(BUILD)/aerostat $(IMAGE) $(BUILD)/kernel.elf \
  $(BUILD)/blank-disk.img $(BUILD)/aerostat.iso $(BUILD)/aerostat-stick.img \
  $(if $(PIXMAN),$(BUILD)/bench/blits)
bench: $(BENCH_NEEDS) ## print figures; PEER_VM names another VM
	@$(PYTHON) tests/bench/bench.py $(BUILD)/aerostat $(IMAGE) $(BENCH)
.PHONY: bench
