#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# demo.sh: a data-parallel training on 8 ranks over 4 "nodes", watched by c4run.
#
# Healthy for 12 s, then rank 5 computes 30 % slower, then rank 2 stops for good. The demo ends
# the job after the second verdict and exits 0 if both named the right rank.
set -eu
cd "$(dirname "$0")/.."
B=${C4_BUILD:-build}
SLOW_RANK=5 SLOW_FACTOR=1.3 SLOW_AT=12
STOP_RANK=2 STOP_AT=24
DEADLINE=56 # the whole demo has a minute, and launchers may need many seconds

dir=$(mktemp -d "${TMPDIR:-/tmp}/c4-demo.XXXXXX")
report=$dir/report.json
shm=$(mktemp -d /dev/shm/c4-demo.XXXXXX) # the launcher's; a stopped rank cannot tidy up
run_pid=

# A launcher on a machine with few cores, perhaps in a container: many ranks, no binding.
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl=vader,self OMPI_MCA_btl_base_warn_component_unused=0
OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_mpi_yield_when_idle \
	OMPI_MCA_btl OMPI_MCA_btl_base_warn_component_unused OMPI_MCA_rmaps_base_oversubscribe \
	OMPI_MCA_hwloc_base_binding_policy
export OMPI_MCA_btl_vader_backing_directory="$shm"

# The job itself tells the address of the collector that watches it.
tell='echo "$C4_COLLECTOR" >"$0"; exec "$@"'

launch() {
	set -- "$B/workloads/ddp" --seconds 120 --stop $STOP_RANK:$STOP_AT \
		--slow $SLOW_RANK:$SLOW_FACTOR:$SLOW_AT
	exec "$B/bin/c4run" --report "$report" -- sh -c "$tell" "$dir/collector" mpirun \
		-np 2 -x C4_NODE=n0 "$@" : -np 2 -x C4_NODE=n1 "$@" : \
		-np 2 -x C4_NODE=n2 "$@" : -np 2 -x C4_NODE=n3 "$@"
}

# confirmed KIND: does the collector list a confirmed incident of this kind?
confirmed() {
	[ -s "$dir/collector" ] &&
		"$B/bin/c4ctl" --collector "$(cat "$dir/collector")" --json incidents 2>/dev/null |
		python3 -c '
import json, sys
listed = json.load(sys.stdin)["incidents"]
sys.exit(not any(i["kind"] == sys.argv[1] and i["state"] != "suspect" for i in listed))' "$1"
}

# blamed KIND RANK: does the report blame this rank, and only this one, of it?
blamed() {
	python3 - "$report" "$1" "$2" <<-'END'
		import json, sys
		path, kind, rank = sys.argv[1:]
		listed = [i for i in json.load(open(path))["incidents"]
		          if i["kind"] == kind and i["state"] != "suspect"]
		ranks = {r for i in listed for r in i["culprit"]["ranks"]}
		ok = ranks == {int(rank)}
		print(f"  {kind:10} expected rank {rank}, reported {sorted(ranks) or 'nothing'}:",
		      "right" if ok else "WRONG")
		sys.exit(not ok)
	END
}

finish() {
	trap - EXIT INT TERM
	[ -z "$run_pid" ] || kill -TERM "$run_pid" 2>/dev/null || true
	rm -rf "$shm"
}

echo "demo: training on 8 ranks over nodes n0…n3; at $SLOW_AT s rank $SLOW_RANK becomes 30 %" \
	"slower, at $STOP_AT s rank $STOP_RANK stops"
began=$(date +%s)
trap 'finish; exit 1' INT TERM
trap finish EXIT
launch &
run_pid=$!
while kill -0 $run_pid 2>/dev/null && [ $(($(date +%s) - began)) -lt $DEADLINE ]; do
	if [ $(($(date +%s) - began)) -ge $STOP_AT ] && confirmed hang-rank; then
		break
	fi
	sleep 0.5
done
kill -TERM $run_pid 2>/dev/null || true
wait $run_pid || true
run_pid=

echo
if [ ! -s "$report" ]; then
	echo "demo: c4run wrote no report" >&2
	exit 1
fi
status=0
echo "demo: $(($(date +%s) - began)) s; verdicts in the report:"
blamed slow-rank $SLOW_RANK || status=1
blamed hang-rank $STOP_RANK || status=1
echo "demo: the report is $report"
exit $status
