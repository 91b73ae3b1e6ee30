#!/usr/bin/env bash
# Installs the real peers that the tests talk to, from Debian's packages, when this is root on a Debian machine.
# Elsewhere nothing is installed, and each test that needs one is skipped with its reason.
set -u
wanted=()
command -v storescu >/dev/null 2>&1 || wanted+=(dcmtk)
command -v Orthanc >/dev/null 2>&1 || wanted+=(orthanc)
ls /usr/share/orthanc/plugins/libOrthancDicomWeb* /usr/lib/orthanc/libOrthancDicomWeb* >/dev/null 2>&1 || wanted+=(orthanc-dicomweb)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted+=(postgresql)
command -v chromium >/dev/null 2>&1 || wanted+=(chromium)
ldconfig -p 2>/dev/null | grep -q libpangoft2-1.0.so.0 || wanted+=(libpango-1.0-0 libpangoft2-1.0-0)
ldconfig -p 2>/dev/null | grep -q libharfbuzz-subset.so.0 || wanted+=(libharfbuzz-subset0)
[ ${#wanted[@]} -eq 0 ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Not installed: ${wanted[*]}. Tests that need them will be skipped (install them as root with apt)."
    exit 0
fi
echo "Installing the tests' peers: ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
# A package's own service start is held back: the tests start and stop what they need.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null ||
    echo "Could not install ${wanted[*]}; tests that need them will be skipped."
