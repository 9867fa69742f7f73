# SPDX-License-Identifier: Apache-2.0
# What zonesync is built with on Debian 12, and how it is installed; sourced by
# quickstart, test/run, packaging/build and whoever hacks on it.

BUILD_PACKAGES=(gcc libc6-dev meson ninja-build pkg-config python3 libuv1-dev libhiredis-dev libyaml-dev
	libprotobuf-c-dev protobuf-c-compiler liblmdb-dev libmicrohttpd-dev libmongoc-dev libpq-dev libssl-dev libxxhash-dev
	redis-server)
PACKAGING_PACKAGES=(build-essential debhelper) # and these, to make a package
TEST_PACKAGES=(libcmocka-dev clang-14 libclang-rt-14-dev clang-format-14 default-jre-headless openssl pgbouncer postgresql
	universal-ctags groff-base mandoc python3-psycopg2 python3-pymongo python3-pytest python3-pytest-xdist python3-venv
	python3-yaml) # and these, to test it
ANALYSIS_PACKAGES=(clang-tidy-14 cppcheck gcovr) # and these, for test/run --analyze and --coverage alone

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# missing_packages NAME...: those that are not installed.
missing_packages() {
	local p
	for p in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
	done
}

# install_packages NAME...: installs what is missing, and starts no service while doing so:
# redis-server's package would take port 6379.
install_packages() {
	local missing policy=/usr/sbin/policy-rc.d made=no rc=0
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	echo "installing: ${missing[*]}"
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod 755 $policy && made=yes
	fi
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qqy install --no-install-recommends \
			"${missing[@]}" >/dev/null || rc=$?
	[ $made = no ] || as_root rm -f $policy
	return $rc
}
