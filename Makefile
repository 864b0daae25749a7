# Aerostat: every command there is. `make help` lists them.
# Each room has its own rules: */room.mk, read in the order of the build.

BUILD := build
CC ?= gcc
WARN := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes \
        -Wshadow -Wvla -Wundef -Wno-unused-parameter
V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-6s %s\n' $(1) $(2)
else
Q :=
say = @:
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:

include $(wildcard vm/room.mk image/room.mk kernel/room.mk iso/room.mk tests/room.mk)

help: ## list the commands
	@grep -hE '^[a-z][a-z-]*:.*##' Makefile */room.mk | \
	  sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 16

deps: ## install the Debian packages that are missing
	@sh iso/deps.sh

run: deps ## build everything and boot it in QEMU
	@$(MAKE) --no-print-directory run-qemu

clean: ## remove everything that was built
	rm -rf $(BUILD)

.PHONY: help deps run clean

# What must build before anything lands; rooms add to LANDCHECK.
landcheck: $(LANDCHECK)
.PHONY: landcheck
