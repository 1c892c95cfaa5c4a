#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh [fast]: runs every test there is, a line per part, and closes with
# "N passed, N failed, N skipped". fast leaves out sanitizers, fuzzers and long jobs.
#
# C4_BUILD: the build directory (default build). Logs of all parts are kept in its check/.
set -eu
LC_ALL=C.UTF-8
export LC_ALL
unset MAKEFLAGS MFLAGS MAKELEVEL # the caller's variables are not meant for the builds below
cd "$(dirname "$0")/../.."
root=${C4_BUILD:-build} # as make has it: a build directory of another spelling is another one
logs=$(realpath -m "$root")/check
jobs=$(nproc)
fast=0
not_long=
if [ "${1:-}" = fast ]; then
	fast=1
	not_long=' and not long'
fi
passed=0 failed=0 skipped=0
FUZZ_SECONDS=${FUZZ_SECONDS:-10}

rm -rf "$logs"
mkdir -p "$logs"

# ---- counting --------------------------------------------------------------------------------

# A part leaves its counts in $counts and its skips' reasons in $reasons.
count() {
	echo "$1 $2 $3" >>"$counts"
}

skip() {
	count 0 0 1
	echo "$1" >>"$reasons"
}

# one NAME COMMAND…: a test that passes or fails as a whole.
one() {
	test=$1
	shift
	if "$@"; then
		count 1 0 0
	else
		echo "run.sh: $test: exit status $?"
		count 0 1 0
	fi
}

# part NAME FUNCTION [ARG…]
part() {
	name=$1
	shift
	log=$logs/$name.log
	counts=$logs/$name.counts
	reasons=$logs/$name.skips
	: >"$counts"
	: >"$reasons"
	began=$(date +%s)
	("$@") >"$log" 2>&1 || count 0 1 0
	sums=$(awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$counts")
	# shellcheck disable=SC2086 # three numbers
	set -- $sums
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
	mark=ok
	[ "$2" -eq 0 ] || mark=FAIL
	printf '%-4s  %-18s %4d s   %d passed, %d failed, %d skipped\n' \
		"$mark" "$name" $(($(date +%s) - began)) "$1" "$2" "$3"
	sed 's/^/      skipped: /' "$reasons"
	if [ "$2" -ne 0 ]; then
		grep -E '^(not ok|FAILED|ERROR|run.sh:) ?' "$log" | head -n 40 | sed 's/^/      /' || true
		echo "      …"
		tail -n 40 "$log" | sed 's/^/      /'
		echo "      whole log: $log"
	fi
}

# ---- parts -----------------------------------------------------------------------------------

build() {
	timeout 600 make -j"$jobs" "$@"
}

part_build() {
	one build build B="$root" all unit-bin workloads lab-bin
}

part_layers() {
	at_once layers_one law self-test
}

layers_one() {
	case $1 in
	law) one law timeout 120 tests/check/layers.sh ;;
	*) one self-test timeout 300 tests/check/layers.sh --self-test ;;
	esac
}

part_imports() {
	one imports timeout 60 tests/check/imports.sh "$root"/lib/*.so
	one self-test timeout 60 tests/check/imports.sh --self-test
}

# at_once FUNCTION ITEM…: FUNCTION ITEM for each of them, $jobs at a time, each into a log of its
# own; the logs follow each other in the end.
at_once() {
	work=$1
	shift
	rm -rf "$logs/each"
	mkdir "$logs/each"
	lanes=$jobs
	while [ "$lanes" -gt 0 ]; do
		lane_of "$work" "$@" &
		lanes=$((lanes - 1))
	done
	wait
	cat "$logs"/each/*.log
}

# Whatever no other lane has taken: a directory can be made only once.
lane_of() {
	work=$1
	shift
	for item in "$@"; do
		mkdir "$logs/each/${item##*/}.taken" 2>/dev/null || continue
		"$work" "$item" >"$logs/each/${item##*/}.log" 2>&1
	done
}

# unit_one PROGRAM: one cmocka group that speaks TAP.
unit_one() {
	program=$1
	tap_of=$logs/each/${program##*/}.tap
	echo "== $program"
	status=0
	CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 5 120 "$program" >"$tap_of" 2>&1 || status=$?
	cat "$tap_of"
	tap=$(awk '
		/# SKIP/   { s++; next } # "not ok", says cmocka
		/^ok /     { p++ }
		/^not ok / { f++ }
		END        { print p + 0, f + 0, s + 0 }' "$tap_of")
	# shellcheck disable=SC2086
	set -- $tap
	count "$1" "$2" "$3"
	awk -v program="${program##*/}" '
		/skipped: / { sub(/.*skipped: /, ""); why = $0 }
		/# SKIP/    { print program ": " $NF ": " why }' "$tap_of" >>"$reasons"
	# A program that dies or leaks between its tests has failed too.
	if [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
		echo "run.sh: $program: exit status $status"
		count 0 1 0
	fi
}

# Whole programs go to a lane: those that take longest go first.
unit_run() {
	first='' others=''
	for program in "$@"; do
		case $program in
		*/test_nccl_stream | */test_oracle_linear | */test_assign) first="$first $program" ;;
		*) others="$others $program" ;;
		esac
	done
	# shellcheck disable=SC2086 # names without blanks
	at_once unit_one $first $others
}

part_unit() {
	unit_run "$root"/unit/test_*
}

# test_hook_mpi watches programs that have no sanitizer: it runs with the plain build only.
part_unit_asan() {
	b=$root/address-undefined
	one build build B="$b" SANITIZE=address,undefined unit-bin all
	# shellcheck disable=SC2046
	unit_run $(find "$b/unit" -name 'test_*' ! -name test_hook_mpi | sort)
}

# What many threads write at once: rings, requests, tables of the hook.
part_unit_tsan() {
	b=$root/thread
	programs=
	for source in tests/unit/test_*.c; do
		case $source in
		*hook_mpi*) ;;
		*seg* | *ring* | *request* | *hook* | *thread* | *nccl* | */test_route_*)
			programs="$programs $b/unit/$(basename "$source" .c)" ;;
		esac
	done
	# shellcheck disable=SC2086
	one build build B="$b" SANITIZE=thread $programs
	# shellcheck disable=SC2086
	unit_run $programs
}

part_fuzz() {
	if ! command -v clang >/dev/null; then
		skip "fuzzers: no clang"
		return
	fi
	b=$root/fuzz
	one build build B="$b" CC=clang SANITIZE=address,fuzzer-no-link fuzz-bin
	# shellcheck disable=SC2046
	at_once fuzz_one $(find "$b/fuzz" -name 'fuzz_*' ! -name '*.d' | sort)
}

fuzz_one() {
	found=$root/fuzz/corpus/${1##*/}
	corpus=tests/fuzz/corpus/${1##*/fuzz_}
	mkdir -p "$found"
	[ -d "$corpus" ] || corpus=
	# shellcheck disable=SC2086 # none or one
	one "${1##*/}" timeout -k 5 $((FUZZ_SECONDS * 3 + 30)) "$1" -seed=1 \
		-max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=1024 -verbosity=0 \
		-print_final_stats=1 -artifact_prefix="$logs/${1##*/}-" "$found" $corpus
}

# pytests NAME BUILD DIRECTORY [PYTEST-ARG…]
pytests() {
	xml=$logs/$1.xml
	b=$2
	shift 2
	status=0
	C4_BUILD=$b timeout -k 10 900 /usr/bin/python3 -B -m pytest -p no:cacheprovider -rs -q \
		--junitxml="$xml" "$@" || status=$?
	if [ ! -s "$xml" ]; then
		count 0 1 0
		return
	fi
	/usr/bin/python3 - "$xml" >"$xml.sums" <<-'END'
		import sys, xml.etree.ElementTree as tree
		suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
		bad = int(suite.get("failures")) + int(suite.get("errors"))
		skipped = int(suite.get("skipped"))
		print(int(suite.get("tests")) - bad - skipped, bad, skipped)
		for case in suite.iter("testcase"):
		    for skip in case.iter("skipped"):
		        print("skip", case.get("name") + ":", skip.get("message"))
	END
	# shellcheck disable=SC2046
	count $(head -n 1 "$xml.sums")
	sed -n 's/^skip //p' "$xml.sums" >>"$reasons"
}

# Jobs under test, three at a time: MPI spins while it waits, but gives its core away.
part_e2e() {
	pytests e2e "$root" tests/e2e -n 3 -m "not alone and not crowded and not paired and not asleep$not_long"
}

# Two at a time: whether a rank is slow is seen where ranks get their cores.
part_e2e_paired() {
	pytests e2e_paired "$root" tests/e2e -n 2 -m "paired and not alone$not_long"
}

# Many at a time: they wait and need no core, but for the guest of the RDMA bed, which needs one.
part_asleep() {
	mkdir "$logs/asleep"
	lab_file rdma >"$logs/asleep/rdma.log" 2>&1 &
	lab_file agent_routes >"$logs/asleep/agent_routes.log" 2>&1 &
	[ "$fast" = 1 ] || gpu_pretend >"$logs/asleep/gpu.log" 2>&1 &
	pytests e2e_asleep "$root" tests/e2e -n 3 -m "asleep and not crowded$not_long"
	wait
	cat "$logs"/asleep/*.log
}

lab_file() {
	pytests "lab_$1" "$root" "tests/lab/test_$1.py" -m "${not_long# and }"
}

# The script for a machine with a GPU: without one, that it works.
gpu_pretend() {
	C4_BUILD=$root one pretend timeout -k 10 300 tests/gpu/run.py --pretend
}

# The crowded ones crowd each other, too.
part_e2e_alone() {
	pytests e2e_crowded "$root" tests/e2e -n 2 -m "crowded$not_long"
	pytests e2e_alone "$root" tests/e2e -m "alone$not_long"
}

# Daemons with sanitizers, the hook without: it lives in a program that has none.
part_e2e_asan() {
	b=$root/e2e-asan
	rm -rf "$b"
	mkdir -p "$b"
	cp -al "$root/address-undefined/bin" "$b/bin"
	cp -al "$root/lib" "$b/lib"
	cp -al "$root/workloads" "$b/workloads"
	[ ! -d "$root/nccl" ] || cp -al "$root/nccl" "$b/nccl"
	ASAN_OPTIONS=abort_on_error=1:log_path=$logs/asan
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:log_path=$logs/ubsan
	export ASAN_OPTIONS UBSAN_OPTIONS
	pytests e2e_asan "$b" tests/e2e -n 3 -m sanitized
	for report in "$logs"/asan.* "$logs"/ubsan.*; do
		[ -e "$report" ] || continue
		cat "$report"
		count 0 1 0
	done
}

# Real programs over namespaces and their shaped links: nothing beside them.
part_lab() {
	pytests lab "$root" tests/lab --ignore tests/lab/test_rdma.py \
		--ignore tests/lab/test_agent_routes.py -m "${not_long# and }"
}

# Real NCCL, where there is a GPU.
part_gpu() {
	status=0
	C4_BUILD=$root timeout -k 10 400 tests/gpu/run.py --only healthy,stopped,dropped --budget 300 ||
		status=$?
	case $status in
	0) count 1 0 0 ;;
	77) skip "real NCCL: no GPU here" ;;
	*) echo "run.sh: gpu: exit status $status" && count 0 1 0 ;;
	esac
}

part build part_build
part layers part_layers
part imports part_imports
part unit part_unit
if [ "$fast" = 0 ]; then
	part unit-asan part_unit_asan
	part unit-tsan part_unit_tsan
	part fuzz part_fuzz
fi
part e2e part_e2e
part e2e-paired part_e2e_paired
part asleep part_asleep
part e2e-alone part_e2e_alone
part lab part_lab
[ "$fast" = 1 ] || part e2e-asan part_e2e_asan
[ "$fast" = 1 ] || part gpu part_gpu

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
