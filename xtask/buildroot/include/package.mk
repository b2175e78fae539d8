# A stand-in for the buildroot's package.mk: builds into $(BUILD_DIR), and
# installs each package into $(STAGE)/NAME beside a file that says what its
# menu entry says, and its options.
PKG_BUILD_DIR:=$(BUILD_DIR)/$(PKG_NAME)-$(PKG_VERSION)

.PHONY: all compile
all: compile

compile:
	$(call Build/Prepare)
	$(call Build/Compile)

# $(1): what a package depends on. `+SYMBOL:NAME` holds if the symbol is set.
depends_now=$(foreach word,$(1),$(if $(findstring :,$(word)),$(call depends_if,$(subst :, ,$(word))),$(word)))
depends_if=$(if $(CONFIG_$(patsubst +%,%,$(firstword $(1)))),+$(lastword $(1)))

define BuildPackage
$(eval $(Package/$(1)))
all: install-$(1)
.PHONY: install-$(1)
install-$(1): compile
	$$(call Package/$(1)/install,$(STAGE)/$(1))
	printf '%s\n' 'version=$(PKG_VERSION)-$(PKG_RELEASE)' 'section=$(SECTION)' 'menu=$(CATEGORY)/$(SUBMENU)' 'title=$(TITLE)' 'depends=$(strip $(call depends_now,$(DEPENDS)))' 'rebuilt=$(PKG_CONFIG_DEPENDS)' > $(STAGE)/$(1).info
	$$(file >$(STAGE)/$(1).options,$$(Package/$(1)/config))
endef
