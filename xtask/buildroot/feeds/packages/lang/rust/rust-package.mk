# A stand-in for the packages feed's rust-package.mk.
RUSTC_TARGET_ARCH:=mipsel-unknown-linux-musl
RUST_ARCH_DEPENDS:=@(mipsel)
CARGO_RUSTFLAGS:=-Ctarget-feature=-crt-static
CARGO_PKG_PROFILE:=release
CARGO_PKG_ARGS:=
CARGO_PKG_VARS:=PATH="$(TOPDIR)/bin:$(PATH)" STAND_IN=yes
