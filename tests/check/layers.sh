#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# layers.sh [--self-test]: proves the dependency law from the #include lines.
#
# Prints each violation as FILE:LINE: room X may not include Y, and exits 1 if there is any.
# --self-test plants one violation of each kind in a copy of the tree and must see each one fail.
# ROOT overrides the tree to look at.
set -eu
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")/../.." && pwd)
ROOT=${ROOT:-$here}

ROOMS='agent collector planner common include'
TOP=' agent collector planner common include tests Makefile README.md ARCHITECTURE.md LICENSE build '

# Those that are there, in the current directory.
rooms() {
	for room in $ROOMS; do
		[ ! -d "$room" ] || echo "$room"
	done
}

check_includes() {
	cd "$ROOT"
	# shellcheck disable=SC2046 # one word each
	find $(rooms) -type f \( -name '*.[ch]' -o -name '*.awk' \) | sort | awk '
	# A room, what it may use of ours, and which system headers: any, guest (libc), pure.
	function room(name, uses, system_headers) {
		allowed[name] = " " name " " uses " "
		headers[name] = system_headers
	}
	# The room a path is in: the longest one that is a prefix of it.
	function room_of(path,   best, r) {
		best = ""
		for (r in allowed)
			if (index(path, r "/") == 1 && length(r) > length(best))
				best = r
		return best
	}
	function bad(what) {
		printf "%s:%d: room %s may not include %s\n", file, line, mine, what
		violations++
	}
	function check_ours(path,   theirs) {
		if (index(path, "c4/") == 1)
			path = "include/" path
		if (path == "c4.pb-c.h" || path == "route.pb-c.h")
			theirs = "common" # generated from the wire schema, lives with the daemons
		else
			theirs = room_of(path)
		if (theirs == "")
			bad("\"" path "\", which is in no room (includes are repo-rooted)")
		else if (!index(allowed[mine], " " theirs " "))
			bad("room " theirs " (\"" path "\")")
	}
	function check_system(path) {
		if (index(path, "c4/") == 1)
			check_ours(path)
		else if (headers[mine] != "any" && !(path in libc) &&
			 !(mine == "agent/mpi" && path == "mpi.h"))
			bad("<" path ">: it may use libc only")
		else if (headers[mine] == "pure" && !(path in harmless))
			bad("<" path ">: it is pure (no clock, socket, thread or file)")
	}
	function check_line(text,   kind, path) {
		if (text !~ /#[ \t]*include/)
			return
		sub(/^.*#[ \t]*include[ \t]*/, "", text)
		sub(/^\\/, "", text) # in a generator, the quotes are escaped
		kind = substr(text, 1, 1)
		path = substr(text, 2)
		sub(/[\\">].*$/, "", path)
		if (kind == "\"")
			check_ours(path)
		else if (kind == "<")
			check_system(path)
		else
			bad("a computed name")
	}
	function words(list, set,   a, n, i) {
		n = split(list, a, " ")
		for (i = 1; i <= n; i++)
			set[a[i]] = 1
	}
	BEGIN {
		floor = "include common/base common/ds"
		hook = "include common/base agent/hook"
		room("include", "", "guest")
		room("common/base", "include", "guest")
		room("common/ds", "include common/base", "pure")
		room("common", floor, "any")
		room("agent/hook", hook, "guest")
		room("agent/mpi", hook, "guest")
		room("agent/nccl", hook, "guest")
		room("agent/route", hook, "guest")
		room("agent/daemon", floor " common", "any")
		room("agent/run", floor " common", "any")
		room("collector/diag", floor, "pure")
		room("collector/ctl", floor " common", "any")
		room("collector", floor " common collector/diag", "any")
		room("planner/model", floor, "pure")
		room("planner/io", floor " common planner/model", "any")
		room("planner/cli", floor " common planner/model planner/io", "any")
		room("planner/daemon", floor " common planner/model planner/io", "any")
		# signal.h and sys/wait.h: names of signals and statuses, which are numbers in a table
		words("assert.h ctype.h errno.h float.h inttypes.h limits.h math.h stdalign.h " \
		      "signal.h stdarg.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h " \
		      "sys/wait.h", harmless)
		words("dirent.h dlfcn.h elf.h fcntl.h fenv.h link.h poll.h pthread.h sched.h " \
		      "semaphore.h stdatomic.h strings.h sys/auxv.h sys/ioctl.h " \
		      "sys/mman.h sys/resource.h sys/socket.h sys/stat.h sys/statvfs.h " \
		      "sys/syscall.h sys/time.h sys/types.h sys/uio.h sys/un.h sys/vfs.h " \
		      "linux/futex.h time.h ucontext.h unistd.h netinet/in.h netinet/tcp.h arpa/inet.h", libc)
		for (h in harmless)
			libc[h] = 1
	}
	{
		file = $0
		mine = room_of(file)
		if (mine == "") {
			printf "%s:1: in no room\n", file
			violations++
			next
		}
		for (line = 1; (getline text < file) > 0; line++)
			check_line(text)
		close(file)
	}
	END { exit violations > 0 }'
}

# Workloads stand for other peoples programs: they know nothing of c4.
check_workloads() {
	cd "$ROOT"
	[ -d tests/workloads ] || return 0
	! grep -nE '#[[:space:]]*include[[:space:]]*["<](c4/|agent/|collector/|common/|planner/)' \
		tests/workloads/* | sed 's/:#.*/: room tests\/workloads may not include c4/' |
		grep .
}

check_top() {
	cd "$ROOT"
	if git rev-parse --git-dir >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard | cut -d/ -f1 | sort -u
	else
		ls -A
	fi | {
		status=0
		while read -r entry; do
			case $entry in .*) continue ;; esac
			case $TOP in *" $entry "*) continue ;; esac
			echo "$entry:1: nothing of this name belongs at the top level"
			status=1
		done
		return $status
	}
}

# Every header stands alone. Headers that need the wire schema find it generated here.
check_headers() {
	cd "$ROOT"
	gen=$(mktemp -d)
	protoc-c --c_out="$gen" -I include/c4 include/c4/*.proto
	flags="-D_GNU_SOURCE -std=gnu11 -Iinclude -I. -I$gen -Wall -Wextra -Werror"
	flags="$flags $(pkg-config --cflags libuv libmicrohttpd libcurl jansson libcyaml ompi-c)"
	status=0
	# shellcheck disable=SC2046
	for header in $(find $(rooms) -name '*.h' | sort); do
		# shellcheck disable=SC2086
		echo "#include \"$header\"" | ${CC:-gcc} $flags -fsyntax-only -x c - 2>"$gen/err" ||
			{
				echo "$header:1: does not compile alone:"
				sed 's/^/	/' "$gen/err"
				status=1
			}
	done
	rm -rf "$gen"
	return $status
}

check_all() {
	status=0
	(check_includes) || status=1
	(check_workloads) || status=1
	(check_top) || status=1
	[ "${1:-}" = quick ] || (check_headers) || status=1
	return $status
}

# ---- self-test -------------------------------------------------------------------------------

copy_tree() {
	mkdir "$1/tests"
	for room in $ROOMS tests/workloads; do
		[ ! -d "$here/$room" ] || cp -R "$here/$room" "$1/$room"
	done
}

# plant FILE TEXT [WORD]: TEXT alone in FILE must make the check fail and name the file.
plant() {
	mkdir -p "$copy/$(dirname "$1")"
	printf '%s\n' "$2" >"$copy/$1"
	if out=$(ROOT=$copy "$0" "${3:-quick}" 2>&1); then
		echo "layers.sh: self-test: not seen: $1: $2" >&2
		failed=$((failed + 1))
	elif ! printf '%s\n' "$out" | grep -q "^$1:1: "; then
		echo "layers.sh: self-test: $1: $2: seen as something else: $out" >&2
		failed=$((failed + 1))
	fi
	rm "$copy/$1"
	planted=$((planted + 1))
}

self_test() {
	copy=$(mktemp -d)
	trap 'rm -rf "$copy"' EXIT
	copy_tree "$copy"
	failed=0 planted=0
	if ! ROOT=$copy "$0"; then
		echo "layers.sh: self-test: the tree itself breaks the law" >&2
		exit 1
	fi
	while read -r file text; do
		plant "$file" "$text"
	done <<-'END'
		include/c4/plant.h #include "common/base/clock.h"
		include/c4/plant.h #include <uv.h>
		common/base/plant.c #include "common/log.h"
		common/base/plant.c #include "common/ds/plant.h"
		common/base/plant.c #include <jansson.h>
		common/ds/plant.c #include "common/log.h"
		common/ds/plant.c #include <time.h>
		common/plant.c #include "agent/hook/plant.h"
		common/plant.c #include "collector/diag/diag.h"
		common/plant.c #include "planner/model/plant.h"
		agent/hook/plant.c #include "common/log.h"
		agent/hook/plant.c #include "common/ds/plant.h"
		agent/hook/plant.c #include "agent/mpi/plant.h"
		agent/hook/plant.c #include <mpi.h>
		agent/mpi/plant.c #include "agent/nccl/plant.h"
		agent/mpi/plant.c #include "common/buf.h"
		agent/mpi/plant.c #include "c4.pb-c.h"
		agent/mpi/plant.awk print "#include \"common/log.h\""
		agent/nccl/plant.c #include "agent/route/plant.h"
		agent/route/plant.c #include "agent/mpi/plant.h"
		agent/daemon/plant.c #include "agent/hook/plant.h"
		agent/daemon/plant.c #include "agent/run/plant.h"
		agent/daemon/plant.c #include "collector/diag/diag.h"
		agent/run/plant.c #include "agent/mpi/plant.h"
		agent/run/plant.c #include "planner/model/plant.h"
		agent/plant.c int in_no_room;
		collector/diag/plant.c #include "common/log.h"
		collector/diag/plant.c #include "collector/plant.h"
		collector/diag/plant.c #include <pthread.h>
		collector/plant.c #include "agent/daemon/plant.h"
		collector/plant.c #include "planner/model/plant.h"
		collector/plant.c #include "diag/diag.h"
		collector/plant.c #include PLANTED
		collector/ctl/plant.c #include "collector/diag/diag.h"
		planner/model/plant.c #include "common/http.h"
		planner/model/plant.c #include <jansson.h>
		planner/io/plant.c #include "collector/diag/diag.h"
		planner/io/plant.c #include "planner/cli/plant.h"
		planner/cli/plant.c #include "planner/daemon/plant.h"
		planner/daemon/plant.c #include "planner/cli/plant.h"
		planner/daemon/plant.c #include "agent/run/plant.h"
		planner/plant.c int in_no_room;
		tests/workloads/plant.c #include "c4/segment.h"
		plant.txt a file at the top
	END
	plant common/plant.h 'size_t needs_a_header(void);' headers
	echo "layers.sh: self-test: $planted planted, $failed not seen"
	[ "$failed" -eq 0 ]
}

case ${1:-} in
'') check_all ;;
quick) check_all quick ;;
headers) check_headers ;;
--self-test) self_test ;;
*)
	echo "usage: layers.sh [--self-test]" >&2
	exit 2
	;;
esac
