# A stand-in for the buildroot's rules.mk: only what package/lua-eco/Makefile uses.
ARCH?=mipsel
STAGING_DIR:=/staging
INCLUDE_DIR:=$(TOPDIR)/include
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_DATA:=install -m0644
CP:=cp -fpR
LN:=ln -sf
TARGET_CFLAGS:=-Os -pipe
TARGET_LDFLAGS:=-znow -zrelro
