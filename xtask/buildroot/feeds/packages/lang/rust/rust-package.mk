# A stand-in for the packages feed's rust-package.mk.
RUSTC_TARGET_ARCH:=$(ARCH)-unknown-linux-musl
RUST_ARCH_DEPENDS:=@($(ARCH))
RUSTC_CFLAGS:=$(if $(filter aarch64,$(ARCH)),-mno-outline-atomics)
CARGO_RUSTFLAGS:=-Ctarget-feature=-crt-static
CARGO_PKG_PROFILE:=release
CARGO_PKG_ARGS:=
CARGO_PKG_VARS=PATH="$(TOPDIR)/bin:$(PATH)" STAND_IN=yes \
	CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
	CARGO_PROFILE_RELEASE_PANIC=unwind \
	RUSTFLAGS="$(CARGO_RUSTFLAGS)" \
	TARGET_CFLAGS="$(TARGET_CFLAGS) $(RUSTC_CFLAGS)"
