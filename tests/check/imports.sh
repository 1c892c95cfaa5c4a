#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# imports.sh - proves that hooks are guests: what they import is libc, and of libc only what neither
# allocates, prints, ends the process nor blocks on the path of a call.
#
#   imports.sh LIBRARY…    fails on any undefined symbol that is not allowed, naming it
#   imports.sh --self-test shows that a planted violation is found
set -eu

# One name per word. malloc, free, the stdio family, exit, abort, locks: deliberately absent.
ALLOWED="
	__errno_location __progname program_invocation_short_name getenv
	dlopen dlsym dladdr on_exit pthread_once __register_atfork pthread_atfork pthread_key_create pthread_setspecific
	clock_gettime time on_exit getpid getppid gettid getuid gethostname getrlimit
	open open64 close read pread pread64 getdents64 fstat fstat64 lstat lstat64 fstatat fstatat64
	mkdir unlink unlinkat posix_fallocate posix_fallocate64 mmap mmap64 munmap
	memcpy memmove memset memcmp strlen strnlen strcmp strncmp strchr strrchr strstr strcspn
	__cxa_finalize __gmon_start__ _ITM_deregisterTMCloneTable _ITM_registerTMCloneTable
	__tls_get_addr
"
# Those of one library alone: it asks the agent, and waits for a bounded time.
ROUTE="
	socket sendto getsockopt setsockopt syscall geteuid
	sigfillset pthread_sigmask pthread_attr_init pthread_attr_destroy
	pthread_attr_setdetachstate pthread_attr_setstacksize
"

# What the library of this file name may import.
allowed_in()
{
	case $1 in
	*libc4route.so) echo "$ALLOWED $ROUTE" ;;
	*) echo "$ALLOWED" ;;
	esac
}

# Prints every import of $1 that is not allowed.
violations()
{
	nm -D --undefined-only "$1" | awk -v allowed="$(allowed_in "$1")" '
		BEGIN { n = split(allowed, w, /[ \t\n]+/); for (i = 1; i <= n; i++) ok[w[i]] = 1 }
		{ name = $NF; sub(/@.*/, "", name); if (!(name in ok)) print name }'
}

check()
{
	bad=$(violations "$1")
	[ -z "$bad" ] && return 0
	for name in $bad; do
		echo "$1: imports $name, which a hook must not" >&2
	done
	return 1
}

self_test()
{
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	cat > "$dir/bad.c" <<-'C'
		#include <stdio.h>
		#include <stdlib.h>
		int c4_planted(void);
		int c4_planted(void) { return printf("%p", malloc(3)); }
	C
	echo 'unsigned long c4_good(const char *s); unsigned long strlen(const char *);' > "$dir/good.c"
	echo 'unsigned long c4_good(const char *s) { return strlen(s); }' >> "$dir/good.c"
	"${CC:-gcc}" -shared -fPIC -o "$dir/bad.so" "$dir/bad.c"
	"${CC:-gcc}" -shared -fPIC -fno-builtin -o "$dir/good.so" "$dir/good.c"
	[ "$(violations "$dir/bad.so" | sort | tr '\n' ' ')" = "malloc printf " ] ||
		{ echo "imports.sh: a planted malloc and printf went unseen" >&2; exit 1; }
	check "$dir/good.so" || { echo "imports.sh: strlen was refused" >&2; exit 1; }
	check "$dir/bad.so" 2> /dev/null &&
		{ echo "imports.sh: a bad library passed" >&2; exit 1; }
	echo 'int socket(int, int, int); int c4_asks(void); int c4_asks(void) { return socket(1, 2, 0); }' \
		> "$dir/asks.c"
	"${CC:-gcc}" -shared -fPIC -o "$dir/libc4route.so" "$dir/asks.c"
	check "$dir/libc4route.so" || { echo "imports.sh: a socket was refused" >&2; exit 1; }
	mv "$dir/libc4route.so" "$dir/libc4mpi.so"
	check "$dir/libc4mpi.so" 2> /dev/null &&
		{ echo "imports.sh: a socket passed where none belongs" >&2; exit 1; }
	echo "imports.sh: planted violations are found"
}

case "${1:-}" in
"") echo "usage: imports.sh LIBRARY… | --self-test" >&2; exit 2 ;;
--self-test) self_test ;;
*)
	failed=0
	for lib in "$@"; do
		[ -f "$lib" ] || { echo "$lib: no such library" >&2; exit 2; }
		check "$lib" || failed=1
	done
	exit $failed
	;;
esac
