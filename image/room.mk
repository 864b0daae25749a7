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

# Character properties, generated (Debian package unicode-data).
UNICODE_DATA ?= /usr/share/unicode/UnicodeData.txt
GEN_SRC := $(BUILD)/gen/Unicode-Data/UnicodeData.class.st

$(BUILD)/gen/Unicode-Data/UnicodeData.class.st: image/unicode/tables.awk \
                                                $(UNICODE_DATA)
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)awk -f $< $(UNICODE_DATA) > $@

# The cold image comes from the builder; started once, it initializes itself,
# loads the warm packages with its own compiler and saves itself. The words of
# that start are on the saved stack: they must not name where the build is,
# since all builds shall be alike. Nor may what runs depend on how fast it does,
# as the second tier's code is, which makes fewer objects; for so short a run it
# costs more than it gives, too.
$(BUILD)/cold.image: $(BUILD)/imagebuilder $(IMAGE_SRC) $(GEN_SRC) \
                     image/load.order
	$(call say,IMAGE,$@)
	$(Q)$(BUILD)/imagebuilder image/src $@ $(BUILD)/gen

LOAD_WARM := eval "TonelReader loadOrder: 'sources/load.order'" \
  eval "Font prerender"

$(BUILD)/aerostat.image: $(BUILD)/cold.image $(BUILD)/aerostat
	$(call say,IMAGE,$@)
	$(Q)ln -sfn $(abspath image) $(BUILD)/sources
	$(Q)cd $(BUILD) && ./aerostat --headless --jit=1 cold.image \
	  $(LOAD_WARM) save aerostat.image > aerostat.image.log || \
	  { cat aerostat.image.log; rm -f aerostat.image; false; }

# The same without some packages, for whoever ships an application: sources and
# load.order are a tree of links in which they are missing.
WITHOUT ?= Hardware Tools-Hardware Tools-Firmware Hardware-Tests \
  Installer Installer-Tests
DEPLOYMENT := $(BUILD)/deployment

deployment: $(BUILD)/aerostat $(BUILD)/imagebuilder $(GEN_SRC)
deployment: ## build/deployment.image, without the packages WITHOUT='...'
	$(call say,IMAGE,$(DEPLOYMENT).image)
	$(Q)rm -rf $(DEPLOYMENT) && mkdir -p $(DEPLOYMENT)/sources/src
	$(Q)ln -s $(abspath $(filter-out $(WITHOUT:%=image/src/%), \
	  $(wildcard image/src/*))) $(DEPLOYMENT)/sources/src
	$(Q)awk -v without="$(WITHOUT)" \
	  'BEGIN { n = split(without, w); while (n) out[w[n--]] } !($$2 in out)' \
	  image/load.order > $(DEPLOYMENT)/sources/load.order
	$(Q)$(BUILD)/imagebuilder $(DEPLOYMENT)/sources/src \
	  $(DEPLOYMENT)/cold.image $(BUILD)/gen
	$(Q)ln -s $(abspath $(BUILD)/aerostat) $(DEPLOYMENT)/aerostat
	$(Q)cd $(DEPLOYMENT) && ./aerostat --headless --jit=1 cold.image \
	  $(LOAD_WARM) save aerostat.image > log || { cat log; false; }
	$(Q)mv $(DEPLOYMENT)/aerostat.image $(DEPLOYMENT).image
.PHONY: deployment

image-check: $(BUILD)/imagebuilder $(GEN_SRC) ## compile all Smalltalk sources, report errors
	$(Q)$(BUILD)/imagebuilder --check image/src $(BUILD)/gen

.PHONY: image-check
LANDCHECK += $(BUILD)/aerostat.image
