# The virtual machine as a Linux program: build/aerostat, and the same with
# the address and undefined-behaviour sanitizers: build/asan/aerostat.

VM_ROOMS := vm vm/memory vm/primitives vm/graphics
VM_SRC := $(sort $(foreach r,$(VM_ROOMS),$(wildcard $(r)/*.c)))
JIT ?= yes # no: nothing but the interpreter
ifeq ($(strip $(JIT)),no)
VM_DEFINES := -DNO_JIT
else
VM_SRC += $(sort $(wildcard vm/jit/*.c))
endif
HOSTED_SRC := $(sort $(wildcard vm/hosted/*.c))
SDL_CFLAGS := $(shell pkg-config --cflags sdl2)
SDL_LIBS := $(shell pkg-config --libs sdl2)

VM_CFLAGS := -std=gnu11 -O2 -g $(WARN) -I. -fno-strict-aliasing \
             $(VM_DEFINES) -fno-math-errno -ffp-contract=off -MMD -MP
ASAN_CFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all \
               -fno-omit-frame-pointer -O1

HOSTED_OBJ := $(patsubst %.c,$(BUILD)/hosted/%.o,$(VM_SRC) $(HOSTED_SRC))
ASAN_OBJ := $(patsubst %.c,$(BUILD)/asan/%.o,$(VM_SRC) $(HOSTED_SRC))

hosted: $(BUILD)/aerostat ## the VM as a Linux program
asan: $(BUILD)/asan/aerostat ## the same under sanitizers
.PHONY: hosted asan

$(BUILD)/aerostat: $(HOSTED_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(SDL_LIBS) -lm

$(BUILD)/asan/aerostat: $(ASAN_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(ASAN_CFLAGS) -o $@ $^ $(SDL_LIBS) -lm

$(BUILD)/hosted/vm/%.o: vm/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VM_CFLAGS) -c -o $@ $<

# A switch of processes runs through many small functions, in these two.
SWITCH_OBJ := vm/process.o vm/primitives/prim_process.o
$(addprefix $(BUILD)/hosted/,$(SWITCH_OBJ)): VM_CFLAGS += -O3

$(BUILD)/asan/vm/%.o: vm/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VM_CFLAGS) $(ASAN_CFLAGS) -c -o $@ $<

# Only the window knows of SDL.
$(BUILD)/hosted/vm/hosted/window_sdl.o \
$(BUILD)/asan/vm/hosted/window_sdl.o: VM_CFLAGS += $(SDL_CFLAGS)

-include $(HOSTED_OBJ:.o=.d) $(ASAN_OBJ:.o=.d)

LANDCHECK += $(BUILD)/aerostat
