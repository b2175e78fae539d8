#!/bin/sh
# Builds all lua-eco packages; run it from the top folder of an OpenWrt buildroot or SDK.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
fail() {
    echo "$*" >&2
    exit 1
}
[ -x scripts/feeds ] || fail 'run this from the top folder of a buildroot or SDK'

# A fresh tree has the default only, which names the other feeds.
[ -f feeds.conf ] || cp feeds.conf.default feeds.conf
grep -q '^src-[a-z]* eco ' feeds.conf || echo "src-link eco $here" >> feeds.conf
./scripts/feeds update packages eco
rust=feeds/packages/lang/rust/Makefile
[ -f "$rust" ] || fail "feeds.conf names no feed 'packages', where Rust comes from: see feeds.conf.default"
version=$(sed -n 's/^PKG_VERSION *:= *//p' "$rust")
echo "$version" | awk -F. '{ exit !($1 > 1 || $1 == 1 && $2 >= 92) }' ||
    fail "the feed 'packages' has Rust $version; lua-eco needs 1.92: OpenWrt 24.10 as of August 2026, 25.12, or main"

# The feed 'packages' has a package of the same name, which stays where it is installed.
for other in package/feeds/*/lua-eco; do
    if [ -e "$other" ] && [ "$other" != package/feeds/eco/lua-eco ]; then
        ./scripts/feeds uninstall lua-eco
        break
    fi
done
./scripts/feeds install -a -p eco
[ -e package/feeds/eco/lua-eco ] || fail 'scripts/feeds has not installed lua-eco from the feed eco: see package/feeds'

for package in $(sed -n 's/^ECO_PACKAGES:=//p' "$here/package/lua-eco/packages.mk"); do
    grep -q "^CONFIG_PACKAGE_$package=" .config 2> /dev/null || echo "CONFIG_PACKAGE_$package=m" >> .config
done
make defconfig
make package/lua-eco/compile "$@"
