#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are named and whose command of the same name is missing, without starting the
# services that they bring:
#   hack/servers/install-debian.sh prometheus
# As another user than root, or on another system, it says what is missing and fails.
set -eu

missing=
for package in "$@"; do
  command -v "$package" >/dev/null || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "missing:$missing (no apt-get here: install it by your package manager, so that it is on the PATH)" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "missing:$missing (as root: apt-get install --no-install-recommends$missing)" >&2
  exit 1
fi

# Maintainer scripts ask this file whether a service may start; 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

echo "installing$missing …" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # one word a package
apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 $missing >&2
