# The kernel: newlib, then boot/ kernel/ drivers/ and the metal build of vm/,
# linked twice so that panics can name functions.

M := $(BUILD)/metal
NEWLIB := $(BUILD)/newlib
NEWLIB_TAR ?= $(firstword $(wildcard /usr/src/newlib/newlib-*.tar.xz))
NEWLIB_LIB := $(NEWLIB)/x86_64-elf/lib
NEWLIB_INC := $(NEWLIB)/x86_64-elf/include

METAL_FLAGS := -ffreestanding -fno-pic -fno-pie -mno-red-zone \
  -fno-stack-protector -fcf-protection=none -mcmodel=kernel \
  -ffunction-sections -fdata-sections -U__linux__ -U__gnu_linux__ \
  -fno-asynchronous-unwind-tables

# --- newlib: the C library, built once from Debian's source package ---

$(NEWLIB)/.built:
	$(call say,NEWLIB,"$(notdir $(NEWLIB_TAR)): about a minute")
	$(Q)rm -rf $(NEWLIB) && mkdir -p $(NEWLIB)/src $(NEWLIB)/obj
	$(Q)tar xf $(NEWLIB_TAR) -C $(NEWLIB)/src --strip-components=1
	$(Q)cd $(NEWLIB)/obj && ../src/configure --target=x86_64-elf \
	  --prefix=$(abspath $(NEWLIB)) --disable-multilib --disable-libgloss \
	  --disable-nls --disable-newlib-supplied-syscalls \
	  --enable-newlib-io-long-long --enable-newlib-io-c99-formats \
	  --disable-newlib-multithread --enable-newlib-global-atexit \
	  --disable-newlib-wide-orient --disable-newlib-fseek-optimization \
	  CC_FOR_TARGET=gcc AR_FOR_TARGET=ar AS_FOR_TARGET=as \
	  LD_FOR_TARGET=ld NM_FOR_TARGET=nm RANLIB_FOR_TARGET=ranlib \
	  STRIP_FOR_TARGET=strip READELF_FOR_TARGET=readelf \
	  OBJDUMP_FOR_TARGET=objdump \
	  CFLAGS_FOR_TARGET="-O2 -fno-omit-frame-pointer $(METAL_FLAGS) \
	    -fno-math-errno" \
	  >$(abspath $(NEWLIB))/log 2>&1 && \
	  $(MAKE) -j2 all MAKEINFO=true >>$(abspath $(NEWLIB))/log 2>&1 && \
	  $(MAKE) install MAKEINFO=true >>$(abspath $(NEWLIB))/log 2>&1 || \
	  { tail -20 $(abspath $(NEWLIB))/log; exit 1; }
	$(Q)rm -rf $(NEWLIB)/src $(NEWLIB)/obj
	$(Q)touch $@

# --- the kernel ---

FONT_DIR ?= /usr/share/fonts
METAL_CC := gcc
METAL_INC := -nostdinc -isystem $(NEWLIB_INC) \
  -isystem $(shell gcc -print-file-name=include) -I.
METAL_CFLAGS := -std=gnu11 -O2 -g $(WARN) $(METAL_FLAGS) $(METAL_INC) \
  -fno-omit-frame-pointer -fno-strict-aliasing -MMD -MP
# Interrupt handlers save no SSE registers, so code they may reach uses none.
KERNEL_CFLAGS := $(METAL_CFLAGS) -mgeneral-regs-only
METAL_VM_CFLAGS := $(METAL_CFLAGS) -I$(M)/include $(VM_DEFINES) -fno-math-errno \
  -ffp-contract=off

KERNEL_SRC := $(sort $(filter-out kernel/mkfont.c, \
  $(wildcard boot/*.c kernel/*.c kernel/*/*.c drivers/*.c drivers/*/*.c)))
KERNEL_ASM := $(sort $(wildcard boot/*.S kernel/*.S))
KERNEL_OBJ := $(KERNEL_SRC:%.c=$(M)/%.o) $(KERNEL_ASM:%.S=$(M)/%.S.o) \
  $(M)/console_font.o
METAL_VM_OBJ := $(patsubst %.c,$(M)/%.o,$(VM_SRC))

# stb's headers without the rest of the host's.
$(M)/include/stb:
	@mkdir -p $(@D)
	$(Q)ln -sfn /usr/include/stb $@

$(addprefix $(M)/,$(SWITCH_OBJ)): METAL_VM_CFLAGS += -O3

$(M)/vm/%.o: vm/%.c $(NEWLIB)/.built | $(M)/include/stb
	$(call say,CC,"$< (metal)")
	@mkdir -p $(@D)
	$(Q)$(METAL_CC) $(METAL_VM_CFLAGS) -c -o $@ $<

# The loops of string.c must not be turned into calls of themselves.
$(M)/kernel/string.o: KERNEL_CFLAGS += -fno-tree-loop-distribute-patterns

$(M)/%.o: %.c $(NEWLIB)/.built
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(METAL_CC) $(KERNEL_CFLAGS) -c -o $@ $<

# Names of devices, packed (Debian packages pci.ids and usb.ids).
IDS_DIR ?= /usr/share/misc
$(M)/%.names: $(IDS_DIR)/%.ids kernel/ids.awk
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)LC_ALL=C awk -f kernel/ids.awk $< >$@

$(M)/kernel/assets.S.o: $(M)/pci.names $(M)/usb.names

$(M)/%.S.o: %.S
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(METAL_CC) -I. -Wa,-I$(FONT_DIR) -Wa,-I$(M) -g -MMD -MP -c -o $@ $<

$(M)/mkfont: kernel/mkfont.c kernel/console_font.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -I. -o $@ $< -lm

$(M)/console_font.o: $(M)/mkfont
	$(call say,FONT,$@)
	$(Q)$< $(FONT_DIR)/truetype/jetbrains-mono/JetBrainsMono-Regular.ttf \
	  >$(M)/console_font.c
	$(Q)$(METAL_CC) $(KERNEL_CFLAGS) -c -o $@ $(M)/console_font.c

METAL_LINK = $(METAL_CC) -static -no-pie -nostdlib -Wl,-T,linker.ld \
  -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
  -Wl,--gc-sections -Wl,--no-warn-rwx-segments -L$(NEWLIB_LIB)
METAL_LIBS := -Wl,--start-group -lm -lc -lgcc -Wl,--end-group

$(M)/unnamed.elf: $(KERNEL_OBJ) $(METAL_VM_OBJ) linker.ld
	$(call say,LD,$@)
	$(Q)$(METAL_LINK) -o $@ $(filter %.o,$^) $(METAL_LIBS)

$(M)/symbols.o: $(M)/unnamed.elf kernel/symbols.awk
	$(Q)nm -n $< | awk -f kernel/symbols.awk >$(M)/symbols.S
	$(Q)$(METAL_CC) -c -o $@ $(M)/symbols.S

# The debugging sections stay beside it, in build/metal/kernel.debug.
$(BUILD)/kernel.elf: $(M)/symbols.o $(KERNEL_OBJ) $(METAL_VM_OBJ) linker.ld
	$(call say,LD,$@)
	$(Q)$(METAL_LINK) -o $(M)/kernel.debug $(filter %.o,$^) $(METAL_LIBS)
	$(Q)strip -g -o $@ $(M)/kernel.debug

kernel: $(BUILD)/kernel.elf ## the kernel with the VM in it
.PHONY: kernel

-include $(KERNEL_OBJ:.o=.d) $(METAL_VM_OBJ:.o=.d)

LANDCHECK += $(KERNEL_OBJ)
