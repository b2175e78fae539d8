#!/bin/sh
# Builds all lua-eco packages; run it from the top folder of an OpenWrt buildroot or SDK.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
[ -x scripts/feeds ] || { echo 'run this from the top folder of a buildroot or SDK' >&2; exit 1; }
[ -f feeds.conf ] || cp feeds.conf.default feeds.conf
grep -q '^src-[a-z]* eco ' feeds.conf || echo "src-link eco $here" >> feeds.conf
./scripts/feeds update packages eco
./scripts/feeds install -a -p eco
for package in $(sed -n 's/^name = "\(.*\)"$/\1/p' "$here/package/packages.toml"); do
    grep -q "^CONFIG_PACKAGE_$package=" .config 2> /dev/null || echo "CONFIG_PACKAGE_$package=m" >> .config
done
make defconfig
make package/lua-eco/compile "$@"
