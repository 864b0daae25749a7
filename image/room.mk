# image: the builder (C), and the image from its Smalltalk sources.

BUILDER_SRC := $(wildcard image/builder/*.c)
BUILDER_OBJ := $(BUILDER_SRC:image/builder/%.c=$(BUILD)/builder/%.o)
IMAGE_SRC := $(shell find image/src -name '*.st' 2>/dev/null)

$(BUILD)/builder/%.o: image/builder/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -std=gnu11 -O2 -g $(WARN) -D_GNU_SOURCE -MMD -c -o $@ $<

$(BUILD)/imagebuilder: $(BUILDER_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $^ -lm

-include $(BUILDER_OBJ:.o=.d)

$(BUILD)/aerostat.image: $(BUILD)/imagebuilder $(IMAGE_SRC) \
                         image/load.order
	$(call say,IMAGE,$@)
	$(Q)$(BUILD)/imagebuilder image/src $@

image-check: $(BUILD)/imagebuilder ## compile all Smalltalk sources, report errors
	$(Q)$(BUILD)/imagebuilder --check image/src

.PHONY: image-check
LANDCHECK += $(BUILD)/imagebuilder
