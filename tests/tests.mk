# SPDX-License-Identifier: BSD-3-Clause
# Tests, checks, benchmarks and the demo; included by the top Makefile.
#
#   tests/unit/test_NOUN.c   cmocka, one program per module, also under ASan+UBSan (ring: TSan)
#   tests/fuzz/fuzz_NOUN.c   libFuzzer, one per decoder; make check runs a short fixed budget
#   tests/e2e/test_*.py      pytest with real mpirun
#   tests/lab/*.py           beds: a fabric of network namespaces, and what runs on it
#   tests/nccl/*.c           a stand-in for programs with NCCL, and streams of events it replays
#   tests/workloads/*.c      MPI programs the tests and the demo watch
#   tests/check/*.sh         what the build must prove about itself
#   tests/bench/*            budgets of the design

ARCHIVES := $(addprefix $(B)/ar/,libnccl.a libncclapi.a libhook.a libdaemon.a librun.a libcollector.a libdiag.a libctl.a \
	      libplancli.a libplanner.a libplanio.a libplanmodel.a libcommon.a libds.a libbase.a)
ALL_LIBS  = $(UV) $(MHD) $(CURL) $(CYAML) $(JANSSON) $(PROTOC) $(SQLITE) $(MNL) -lpthread -lm

UNIT_SRC := $(call src,tests/unit)
UNIT     := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))

$(UNIT): $(B)/unit/%: $(B)/obj/tests/unit/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(ALL_LIBS) -lcmocka $(BESIDE)

# Stand-ins for NCCL and the CUDA runtime, so that the hook on NCCL's calls runs without a GPU; and
# a job for them. In a program that has the wrappers built in, the stand-in is the next definition.
STANDIN := $(B)/nccl/libnccl.so.2 $(B)/nccl/libcudart.so.13
STANDIN_LD := -Wl,--no-as-needed -L$(B)/nccl -l:libnccl.so.2 -l:libcudart.so.13 -Wl,-rpath,'$$ORIGIN/../nccl'
$(B)/nccl/libnccl.so.2: tests/nccl/fake/nccl.c $(B)/nccl/libcudart.so.13
$(B)/nccl/libcudart.so.13: tests/nccl/fake/cudart.c
$(STANDIN): tests/nccl/fake/nccl.h tests/nccl/fake/cudart.h
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(STANDIN_CC) $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -shared -Wl,-soname,$(@F) -o $@ \
		$(filter %.c,$^) $(filter %.so.13,$^) -lpthread
STANDIN_CC = $(CC) -D_GNU_SOURCE -std=gnu11 -I. -O2 -g -fPIC $(WARN)
$(B)/nccl/libtrain.so: tests/nccl/fake/train.c tests/nccl/fake/train.h $(STANDIN)
	@echo "  LD      $@"
	$(Q)$(STANDIN_CC) -shared -Wl,-soname,$(@F) -o $@ $< $(STANDIN) -lpthread -Wl,-rpath,'$$ORIGIN'
$(B)/nccl/train: tests/nccl/fake/main.c tests/nccl/fake/train.c $(STANDIN)
	@echo "  LD      $@"
	$(Q)$(STANDIN_CC) -o $@ $(filter %.c,$^) $(STANDIN) -lpthread -Wl,-rpath,'$$ORIGIN'
$(B)/nccl/train-private: tests/nccl/fake/launch.c $(B)/nccl/libtrain.so
	@echo "  LD      $@"
	$(Q)$(STANDIN_CC) -o $@ $< -Wl,-rpath,'$$ORIGIN'
STANDIN_JOBS := $(B)/nccl/train $(B)/nccl/train-private
$(B)/unit/test_ncclapi $(B)/unit/test_ncclapi_ops: $(STANDIN)
$(B)/unit/test_ncclapi $(B)/unit/test_ncclapi_ops: BESIDE = $(STANDIN_LD)

# What plays NCCL's part: it loads the plugin of its own build directory.
NCCL_HOST := $(B)/nccl/nccl_host
$(NCCL_HOST): $(call obj,$(filter-out tests/nccl/record.c,$(call src,tests/nccl))) $(B)/ar/libbase.a
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lpthread -ldl

$(B)/unit/test_nccl_stream: | $(NCCL_HOST) $(B)/lib/libnccl-profiler-c4.so

# A user's own plugin behind ours.
NCCL_NEXT := $(B)/nccl/libnccl-profiler-standin.so
$(NCCL_NEXT): $(B)/obj/tests/nccl/fake/next.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -shared -o $@ $^ -lpthread

# Writes down what a real NCCL tells its plugin (tests/gpu/run.py); never installed.
NCCL_RECORD := $(B)/nccl/libnccl-profiler-record.so
$(NCCL_RECORD): $(B)/obj/tests/nccl/record.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-z,defs,-z,nodelete -o $@ $^ -lpthread

# Stand-ins for other people's libraries, where the machine need not have them.
FAKE := $(addprefix $(B)/unit/,libfake-nvml.so libfake-nvml-old.so)
$(B)/unit/libfake-nvml-old.so: CPPFLAGS += -DFAKE_OLD
$(FAKE): tests/unit/fake/nvml.c tests/unit/fake/nvml.h agent/daemon/nvml.h
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -shared -o $@ $<
$(B)/unit/test_gpu $(B)/unit/test_agent_devices: | $(FAKE)

# In a program that has the routing hook built in, its calls are ours as if it were preloaded. The
# other programs must not have it: they connect for themselves.
$(addprefix $(B)/unit/test_route_,attach rtable tcp tell verbs) $(B)/fuzz/fuzz_rtable \
$(B)/bench/route_connect: $(B)/ar/libroute.a
$(B)/unit/test_route_rtable $(B)/fuzz/fuzz_rtable: ARCHIVES += $(B)/ar/libroute.a
# Whole, lest a sanitizer's own connect() is found first.
ROUTE_WHOLE := -Wl,--whole-archive $(B)/ar/libroute.a -Wl,--no-whole-archive \
	$(B)/ar/libhook.a $(B)/ar/libbase.a
$(addprefix $(B)/unit/test_route_,attach tcp tell verbs): BESIDE = $(ROUTE_WHOLE)
$(B)/bench/route_connect: ALL_LIBS += $(ROUTE_WHOLE)
# A verbs library without devices, mlx5's addition to it, and two libraries that ask for each
# other's symbols.
ROUTE_FAKE := $(addprefix $(B)/route/,libibverbs.so.1 libmlx5.so.1 libfirst.so libsecond.so)
$(ROUTE_FAKE): tests/route/verbs.h tests/route/fake.map
$(B)/route/libibverbs.so.1: tests/route/ibverbs.c
$(B)/route/libmlx5.so.1: tests/route/mlx5.c
$(B)/route/libfirst.so $(B)/route/libsecond.so: tests/route/asks.c
$(ROUTE_FAKE):
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -fsanitize%,$(CFLAGS)) -shared -Wl,-soname,$(@F) \
		-Wl,--version-script=tests/route/fake.map -DWHO='"$(basename $(@F))"' -o $@ $(filter %.c,$^)
$(B)/unit/test_route_tell $(B)/unit/test_route_verbs: $(ROUTE_FAKE)
$(B)/unit/test_route_verbs: BESIDE = $(ROUTE_WHOLE) -Wl,--no-as-needed -L$(B)/route -l:libfirst.so -l:libsecond.so \
	-Wl,-rpath,'$$ORIGIN/../route'

BENCH := $(patsubst tests/bench/%.c,$(B)/bench/%,$(filter-out tests/bench/mpi_%,$(call src,tests/bench)))
$(BENCH): $(B)/bench/%: $(B)/obj/tests/bench/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(ALL_LIBS)

# Linear programs as judges; programs that count what the planner allocates, or let it fail.
$(B)/unit/test_assign_lp: ALL_LIBS += -lglpk
$(B)/unit/test_assign $(B)/unit/test_planner_memory $(B)/unit/test_replan_memory \
$(B)/bench/plan_full: \
	LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=reallocarray,--wrap=free

# Fuzzers need clang: make CC=clang SANITIZE=address,fuzzer-no-link B=build/fuzz fuzz-bin
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(call src,tests/fuzz))
$(FUZZ): $(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(ALL_LIBS)

# Workloads are plain MPI programs: no c4 header, no sanitizer, as a user would build them.
WORK := $(patsubst tests/workloads/%.c,$(B)/workloads/%,$(call src,tests/workloads)) \
	$(patsubst tests/workloads/%.f90,$(B)/workloads/%,$(sort $(wildcard tests/workloads/*.f90)))
$(B)/workloads/%: tests/workloads/%.c $(wildcard tests/workloads/*.h)
	@mkdir -p $(@D)
	@echo "  MPICC   $<"
	$(Q)mpicc -std=gnu11 -O2 -g -Wall -Wextra -o $@ $< -lm -lpthread
$(B)/workloads/%: tests/workloads/%.f90
	@mkdir -p $(@D)
	@echo "  MPIF90  $<"
	$(Q)mpif90 -O2 -g -Wall -J$(@D) -o $@ $<
# What runs on the beds of tests/lab is as plain.
LAB := $(patsubst tests/lab/%.c,$(B)/lab/%,$(call src,tests/lab))
$(B)/lab/%: tests/lab/%.c
	@mkdir -p $(@D)
	@echo "  MPICC   $<"
	$(Q)mpicc -std=gnu11 -O2 -g -Wall -Wextra -o $@ $< -lm
MPI_BENCH := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/mpi_*.c))
$(MPI_BENCH): $(B)/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	@echo "  MPICC   $<"
	$(Q)mpicc -std=gnu11 -O2 -g -Wall -Wextra -o $@ $< -lm -lpthread

.PHONY: unit-bin fuzz-bin nccl-bin lab-bin workloads bench-bin check check-fast bench demo demo-routes lint
unit-bin: $(UNIT) nccl-bin
nccl-bin: $(NCCL_HOST) $(NCCL_NEXT) $(if $(wildcard tests/nccl/record.c),$(NCCL_RECORD))
fuzz-bin: $(FUZZ)
workloads: $(WORK) $(STANDIN_JOBS)
lab-bin: $(LAB)
bench-bin: $(BENCH) $(MPI_BENCH)
check:
	@tests/check/deps.sh install check
	@C4_BUILD=$(B) tests/check/run.sh
check-fast:
	@C4_BUILD=$(B) tests/check/run.sh fast
lint: all
	@tests/check/layers.sh && tests/check/imports.sh $(LIB)
bench: all bench-bin workloads lab-bin
	@C4_BUILD=$(B) tests/bench/run.py
demo:
	@tests/check/deps.sh install
	@+$(MAKE) --no-print-directory all $(B)/workloads/ddp
	@C4_BUILD=$(B) tests/demo.sh
demo-routes:
	@tests/check/deps.sh install check
	@+$(MAKE) --no-print-directory all lab-bin
	@/usr/bin/python3 -B tests/lab/demo_routes.py --build $(B)
