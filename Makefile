# The front door. Every rule is one `cargo xtask` command, which holds the logic.

ARCH ?= mipsel_24kc
XTASK := cargo xtask

.PHONY: help setup demo test host ipk size bench

help:
	@echo 'make demo              install our packages and let a Lua HTTP service answer curl, natively and on emulated MIPS'
	@echo 'make test              build for this machine and run every test'
	@echo 'make host              build for this machine into target/dist/host'
	@echo 'make ipk ARCH=NAME     build the packages and the feed of one router architecture (now: $(ARCH))'
	@echo 'make size              sizes of all modules on mipsel beside their budgets'
	@echo 'make bench             run the benchmarks'
	@echo 'make setup             install what the builds need, by package name'
	@echo
	@$(XTASK)

setup demo test host size bench:
	@$(XTASK) $@

ipk:
	@$(XTASK) ipk --arch $(ARCH)
