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
	  CFLAGS_FOR_TARGET="-O2 $(METAL_FLAGS) -fno-math-errno" \
	  >$(abspath $(NEWLIB))/log 2>&1 && \
	  $(MAKE) -j2 all MAKEINFO=true >>$(abspath $(NEWLIB))/log 2>&1 && \
	  $(MAKE) install MAKEINFO=true >>$(abspath $(NEWLIB))/log 2>&1 || \
	  { tail -20 $(abspath $(NEWLIB))/log; exit 1; }
	$(Q)rm -rf $(NEWLIB)/src $(NEWLIB)/obj
	$(Q)touch $@
