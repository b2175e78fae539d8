# The front door. Every rule is one `cargo xtask` command, which holds the logic, or copies what such a command has built.

ARCH ?= mipsel_24kc
XTASK := cargo xtask

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
# Where the stock lua5.4 looks for modules, with a prefix of /usr/local or /usr.
LIBDIR ?= $(PREFIX)/lib/lua/5.4
DATADIR ?= $(PREFIX)/share/lua-eco
# What starts `lunet`, and how modules are copied: LuaRocks moves what it has installed.
ECO ?= $(BINDIR)/eco
COPY ?= cp -R
DIST := target/dist
HOST := $(DIST)/host
DEB := target/deb
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

.PHONY: help tools setup demo test host install uninstall deb ipk apk size bench conduit

help:
	@echo 'make host              build for this machine into target/dist/host: needs Rust and a C compiler'
	@echo 'make install           copy that to PREFIX (now: $(PREFIX)), below DESTDIR if that is set; make uninstall'
	@echo 'make deb               pack it for Debian, into target/dist'
	@echo 'make demo              install our packages and let a Lua HTTP service answer curl, natively and on emulated MIPS'
	@echo 'make test              build for this machine and run every test'
	@echo 'make ipk ARCH=NAME     build the packages and the feed of one router architecture (now: $(ARCH))'
	@echo 'make apk ARCH=NAME     the same for apk, which newer OpenWrt has in place of opkg'
	@echo 'make size              sizes of all modules on mipsel beside their budgets'
	@echo 'make bench             run the benchmarks'
	@echo 'make conduit           start the application of examples/conduit at http://127.0.0.1:8080'
	@echo 'make setup             install what all but the first three need, by package name (as root, or with sudo)'
	@echo
	@! command -v cargo >/dev/null || $(XTASK)

# What everything needs, and nothing here installs.
tools:
	@missing=; \
	command -v cargo >/dev/null || missing="$$missing, cargo (Rust 1.89 or later: https://rustup.rs)"; \
	command -v $${CC:-cc} >/dev/null || missing="$$missing, a C compiler (Debian: apt-get install gcc libc6-dev)"; \
	test -n "$$missing" || echo '#include <stdio.h>' | $${CC:-cc} -E - >/dev/null 2>&1 || \
		missing=", the headers of the C library (Debian: apt-get install libc6-dev)"; \
	test -z "$$missing" || { echo "missing: $${missing#, }" >&2; exit 1; }

setup demo test host size bench: tools
	@$(XTASK) $@

ipk apk: tools
	@$(XTASK) $@ --arch $(ARCH)

conduit: host
	@target/dist/host/bin/eco examples/conduit/main.lua

install:
	@test -x $(HOST)/bin/eco || { echo 'nothing is built yet: run make host first' >&2; exit 1; }
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(LIBDIR)' '$(DESTDIR)$(DATADIR)'
	install -m 755 $(HOST)/bin/eco '$(DESTDIR)$(BINDIR)/eco'
	sed '1s|/usr/bin/eco|$(ECO)|' lua/bin/lunet > '$(DESTDIR)$(BINDIR)/lunet'
	chmod 755 '$(DESTDIR)$(BINDIR)/lunet'
	$(COPY) $(HOST)/lib/lua/5.4/. '$(DESTDIR)$(LIBDIR)'
	cp -R lua/types '$(DESTDIR)$(DATADIR)'
	@case '$(LIBDIR)' in /usr/local/lib/lua/5.4|/usr/lib/lua/5.4) ;; \
	*) echo "eco finds its modules; for lua5.4: export LUA_CPATH='$(LIBDIR)/?.so;;'" ;; esac

uninstall:
	cd $(HOST)/lib/lua/5.4 && find . -type f -o -type l | while read -r file; do rm -f '$(DESTDIR)$(LIBDIR)'/"$$file"; done
	rm -f '$(DESTDIR)$(BINDIR)/eco' '$(DESTDIR)$(BINDIR)/lunet'
	rm -rf '$(DESTDIR)$(DATADIR)/types'

deb:
	@command -v dpkg-deb >/dev/null || { echo 'missing: dpkg-deb, of Debian' >&2; exit 1; }
	rm -rf $(DEB)
	@$(MAKE) --no-print-directory install PREFIX=/usr DESTDIR=$(DEB) >/dev/null
	install -d $(DEB)/DEBIAN $(DEB)/usr/share/doc/lua-eco
	cp LICENSE $(DEB)/usr/share/doc/lua-eco/copyright
	@printf '%s\n' 'Package: lua-eco' 'Version: $(VERSION)-1' "Architecture: $$(dpkg --print-architecture)" \
		'Maintainer: lua-eco <lua-eco@localhost>' 'Section: interpreters' 'Priority: optional' \
		"Depends: libc6 (>= $$(ldd --version | sed -n '1s/.* //p')), libgcc-s1" 'Suggests: lua5.4' \
		"Installed-Size: $$(du -sk $(DEB)/usr | cut -f1)" \
		'Homepage: https://github.com/lua-eco/lua-eco' \
		'Description: coroutine runtime for Lua 5.4' \
		' Scripts that look blocking and wait for thousands of sockets, timers, files and' \
		' processes at once: an interpreter, and modules for the stock lua5.4.' > $(DEB)/DEBIAN/control
	dpkg-deb --root-owner-group --build $(DEB) $(DIST)
