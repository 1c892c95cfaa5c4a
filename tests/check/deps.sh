#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# deps.sh [install] [check]: makes sure the Debian packages c4 needs are there.
#
#   (nothing)   what building and the demo need
#   check       … and what the tests need
#   install     fetch what is missing through apt; otherwise only say what is missing
#
# Nothing missing: silent, no root, no network. The package lists of the project are here and
# nowhere else.
set -eu

BUILD='
	build-essential
	libcurl4-openssl-dev
	libcyaml-dev
	libjansson-dev
	libmicrohttpd-dev
	libmnl-dev
	libopenmpi-dev
	libprotobuf-c-dev
	libsqlite3-dev
	libuv1-dev
	libyaml-dev
	openmpi-bin
	pkg-config
	procps
	protobuf-c-compiler
	python3
'
TESTS='
	binutils
	clang
	gfortran
	hpcc
	ibverbs-providers
	iproute2
	lammps
	libclang-rt-dev
	libcmocka-dev
	libglpk-dev
	libibverbs-dev
	netpipe-openmpi
	nftables
	python3-mpi4py
	python3-numpy
	python3-pytest
	python3-pytest-xdist
	python3-torch
	qemu-system-x86
	valgrind
'

# A virtual name counts as there when some installed package provides it.
missing_of() {
	have=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
		awk '$1 == "installed" { $1 = ""; gsub(/\([^)]*\)|,/, ""); print }' | tr -s ' ' '\n')
	for package in "$@"; do
		printf '%s\n' "$have" | grep -qxF "$package" || printf '%s ' "$package"
	done
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

install=0
wanted=$BUILD
for word in "$@"; do
	case $word in
	install) install=1 ;;
	check) wanted="$wanted $TESTS" ;;
	*)
		echo "deps.sh: unknown word '$word' (usage: deps.sh [install] [check])" >&2
		exit 2
		;;
	esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "deps.sh: not a Debian system: nothing checked" >&2
	exit 0
fi

# shellcheck disable=SC2086 # lists are split on purpose
missing=$(missing_of $wanted)
[ -n "$missing" ] || exit 0

by_hand="apt-get update && apt-get install --no-install-recommends ${missing% }"
if [ "$install" = 0 ]; then
	echo "deps.sh: missing: ${missing% }; as root: $by_hand" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
	echo "deps.sh: missing packages and no right to install them; as root: $by_hand" >&2
	exit 1
fi

echo "deps: installing ${missing% }"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A mirror that is being renewed answers 404 now and then: one more try with fresh lists.
for _ in 1 2; do
	# shellcheck disable=SC2086
	if as_root apt-get update -q >"$log" 2>&1 &&
		as_root env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -q --no-install-recommends $missing >>"$log" 2>&1; then
		exit 0
	fi
done
tail -n 20 "$log" >&2
echo "deps.sh: apt failed (see above); by hand, as root: $by_hand" >&2
exit 1
