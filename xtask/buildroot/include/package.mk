# A stand-in for the buildroot's package.mk: builds into $(BUILD_DIR), and
# installs each package into $(STAGE)/NAME beside a file that says what its
# menu entry says, its control paragraph, and its options.
#
# As in the real one, the texts Build/* and Package/*/install are expanded when
# they are read, and what comes out is read as a makefile.
PKG_BUILD_DIR:=$(BUILD_DIR)/$(PKG_NAME)-$(PKG_VERSION)
VERSION:=$(PKG_VERSION)-r$(PKG_RELEASE)
# What is set later is not seen.
FILE_DEPENDS:=$(PKG_FILE_DEPENDS)

.PHONY: all compile
all: compile

define Build/DefaultTargets
compile:
	$(Build/Prepare)
	$(Build/Compile)

  define Build/DefaultTargets
  endef
endef

# $(1): what a package depends on. `+SYMBOL:NAME` holds if the symbol is set.
depends_now=$(foreach word,$(1),$(if $(findstring :,$(word)),$(call depends_if,$(subst :, ,$(word))),$(word)))
depends_if=$(if $(CONFIG_$(patsubst +%,%,$(firstword $(1)))),+$(lastword $(1)))
_define=define
_endef=endef

define BuildPackage
  EXTRA_DEPENDS:=
  PROVIDES:=
  $(eval EXTRA_DEPENDS:=)
  $(eval PROVIDES:=)
  $(eval $(Package/$(1)))
  $(Build/DefaultTargets)

$(_define) Package/$(1)/CONTROL
Version: $(VERSION)
Extra: $(EXTRA_DEPENDS)
Provides: $(PROVIDES)
$(_endef)

all: install-$(1)
.PHONY: install-$(1)
$(STAGE)/$(1).info: export CONTROL=$$(Package/$(1)/CONTROL)
$(STAGE)/$(1).info: install-$(1)
	printf '%s\n' 'maintainer=$(PKG_MAINTAINER)' 'section=$(SECTION)' 'menu=$(CATEGORY)/$(SUBMENU)' 'title=$(TITLE)' 'depends=$(strip $(call depends_now,$(DEPENDS)))' 'rebuilt=$(PKG_CONFIG_DEPENDS)' 'sources=$(FILE_DEPENDS)' > $$@
	echo "$$$$CONTROL" > $(STAGE)/$(1).control
all: $(STAGE)/$(1).info
install-$(1): compile
	mkdir -p $(STAGE)/$(1)
	$(call Package/$(1)/install,$(STAGE)/$(1))
	$$(file >$(STAGE)/$(1).options,$$(Package/$(1)/config))
	$$(file >$(STAGE)/$(1).description,$$(Package/$(1)/description))
endef
