# A stand-in for the buildroot's package.mk: builds into $(BUILD_DIR), and
# installs each package into $(STAGE)/NAME beside a file that says what its
# menu entry says.
PKG_BUILD_DIR:=$(BUILD_DIR)/$(PKG_NAME)-$(PKG_VERSION)

.PHONY: all compile
all: compile

compile:
	$(call Build/Prepare)
	$(call Build/Compile)

define BuildPackage
$(eval $(Package/$(1)))
all: install-$(1)
.PHONY: install-$(1)
install-$(1): compile
	$$(call Package/$(1)/install,$(STAGE)/$(1))
	printf '%s\n' 'version=$(PKG_VERSION)-$(PKG_RELEASE)' 'section=$(SECTION)' 'menu=$(CATEGORY)/$(SUBMENU)' 'title=$(TITLE)' 'depends=$(strip $(DEPENDS))' > $(STAGE)/$(1).info
endef
