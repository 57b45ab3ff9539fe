#!/bin/sh
# Installs the Debian packages whose real components the tests use: SoftHSM2 behind p11-kit, Prometheus with promtool,
# Chromium with fonts that have the register's kanji.
# Without apt-get or without the right to install it only says what is missing; the tests that need it then skip
# (or fail, under SEKISHO_REQUIRE_ALL=1).
set -u
missing=""
command -v softhsm2-util >/dev/null 2>&1 || missing="$missing softhsm2"
command -v p11-kit >/dev/null 2>&1 || missing="$missing p11-kit"
ls /usr/lib/*/p11-kit-proxy.so >/dev/null 2>&1 || ls /usr/lib/p11-kit-proxy.so >/dev/null 2>&1 || missing="$missing p11-kit-modules"
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
fc-list 2>/dev/null | grep -qi ipamj || missing="$missing fontconfig fonts-ipamj-mincho"
fc-list 2>/dev/null | grep -qi "ipaexg\|ipaexgothic" || missing="$missing fonts-ipaexfont-gothic"
[ -z "$missing" ] && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # The package would start a server of its own; only the binaries are wanted.
    { apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
      { apt-get update -qq >/dev/null 2>&1 && apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1; }; } ||
      echo "could not install:$missing; their tests will be skipped"
else
    echo "not installed:$missing (needs root and apt-get); their tests will be skipped"
fi
exit 0
