# SPDX-License-Identifier: BSD-3-Clause
# c4: non-recursive. `make help` lists the targets.
#
# Rooms and what they may include are in ARCHITECTURE.md; tests/check/layers.sh proves it.

PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)

# SANITIZE=address,undefined or thread: same sources, own directory
SANITIZE ?=
comma    := ,
B        := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))

OPT      ?= $(if $(SANITIZE),-O1,-O2)
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	    -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef
CPPFLAGS += -D_GNU_SOURCE -Iinclude -I. -I$(B)/gen
CFLAGS   += -std=gnu11 $(OPT) -g -fPIC -fno-omit-frame-pointer $(WARN) -ffile-prefix-map=$(CURDIR)=.
LDFLAGS  += -Wl,--as-needed
ifneq ($(SANITIZE),)
CFLAGS   += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
LDFLAGS  += -fsanitize=$(SANITIZE)
endif

GOALS := $(or $(MAKECMDGOALS),all)
ifneq ($(filter-out help deps deps-check clean format,$(GOALS)),)
NEED_PKGS := libuv libmicrohttpd libcurl jansson libprotobuf-c sqlite3 libcyaml libmnl
PKG_CFLAGS := $(shell pkg-config --cflags $(NEED_PKGS) 2>/dev/null)
UV      := $(shell pkg-config --libs libuv 2>/dev/null)
MHD     := $(shell pkg-config --libs libmicrohttpd 2>/dev/null)
CURL    := $(shell pkg-config --libs libcurl 2>/dev/null)
JANSSON := $(shell pkg-config --libs jansson 2>/dev/null)
PROTOC  := $(shell pkg-config --libs libprotobuf-c 2>/dev/null)
SQLITE  := $(shell pkg-config --libs sqlite3 2>/dev/null)
MNL     := $(shell pkg-config --libs libmnl 2>/dev/null)
CYAML   := $(shell pkg-config --libs libcyaml yaml-0.1 2>/dev/null)
MPI_CFLAGS := $(shell pkg-config --cflags ompi-c 2>/dev/null)
endif
CPPFLAGS += $(PKG_CFLAGS)

# ---- rooms -----------------------------------------------------------------------------------
src = $(sort $(wildcard $(addsuffix /*.c,$(1))))
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

BASE      := $(call obj,$(call src,common/base))
DS        := $(call obj,$(call src,common/ds))
PROTO     := $(addprefix $(B)/obj/gen/,c4.pb-c.o route.pb-c.o)
COMMON    := $(call obj,$(call src,common)) $(PROTO)
HOOK      := $(call obj,$(call src,agent/hook))
MPI       := $(call obj,$(call src,agent/mpi)) $(B)/obj/gen/mpi_wrap.o
NCCL      := $(call obj,$(call src,agent/nccl))
NCCLAPI   := $(call obj,$(call src,agent/nccl/api))
ROUTE     := $(call obj,$(call src,agent/route))
DAEMON    := $(filter-out %/main.o,$(call obj,$(call src,agent/daemon agent/daemon/routes)))
RUN       := $(filter-out %/main.o,$(call obj,$(call src,agent/run)))
DIAG      := $(call obj,$(call src,collector/diag))
COLLECTOR := $(filter-out %/main.o,$(call obj,$(call src,collector)))
CTL       := $(filter-out %/main.o,$(call obj,$(call src,collector/ctl)))
PLANMODEL := $(call obj,$(call src,planner/model $(addprefix planner/model/,demand fabric assign replan oracle eval sense)))
PLANIO    := $(call obj,$(call src,planner/io))
PLANCLI   := $(filter-out %/main.o,$(call obj,$(call src,planner/cli)))
PLANNER   := $(filter-out %/main.o,$(call obj,$(call src,planner/daemon planner/daemon/routes)))

FLOOR := $(B)/ar/libcommon.a $(B)/ar/libds.a $(B)/ar/libbase.a
BIN   := $(addprefix $(B)/bin/,c4run c4agent c4collector c4ctl c4plan c4planner)
LIB   := $(addprefix $(B)/lib/,libc4mpi.so libnccl-profiler-c4.so libc4nccl.so libc4route.so)

.PHONY: all
all: $(BIN) $(LIB)

$(B)/ar/libbase.a: $(BASE)
$(B)/ar/libds.a: $(DS)
$(B)/ar/libcommon.a: $(COMMON)
$(B)/ar/libhook.a: $(HOOK)
$(B)/ar/libnccl.a: $(NCCL)
$(B)/ar/libncclapi.a: $(NCCLAPI)
$(B)/ar/libroute.a: $(ROUTE)
$(B)/ar/libdaemon.a: $(DAEMON)
$(B)/ar/librun.a: $(RUN)
$(B)/ar/libdiag.a: $(DIAG)
$(B)/ar/libcollector.a: $(COLLECTOR)
$(B)/ar/libctl.a: $(CTL)
$(B)/ar/libplanmodel.a: $(PLANMODEL)
$(B)/ar/libplanio.a: $(PLANIO)
$(B)/ar/libplancli.a: $(PLANCLI)
$(B)/ar/libplanner.a: $(PLANNER)

$(B)/ar/%.a:
	@mkdir -p $(@D)
	@echo "  AR      $@"
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)

$(B)/bin/c4agent: $(B)/obj/agent/daemon/main.o $(B)/ar/libdaemon.a $(FLOOR)
$(B)/bin/c4agent: LIBS := $(UV) $(CURL) $(PROTOC) $(MNL) -lpthread -lm
$(B)/bin/c4run: $(B)/obj/agent/run/main.o $(B)/ar/librun.a $(FLOOR)
$(B)/bin/c4run: LIBS := $(UV) $(CURL) $(JANSSON) -lpthread -lm
$(B)/bin/c4collector: $(B)/obj/collector/main.o $(B)/ar/libcollector.a $(B)/ar/libdiag.a $(FLOOR)
$(B)/bin/c4collector: LIBS := $(UV) $(MHD) $(JANSSON) $(SQLITE) $(PROTOC) -lpthread -lm
$(B)/bin/c4ctl: $(B)/obj/collector/ctl/main.o $(B)/ar/libctl.a $(FLOOR)
$(B)/bin/c4ctl: LIBS := $(CURL) $(JANSSON) -lm

PLAN_AR := $(B)/ar/libplanio.a $(B)/ar/libplanmodel.a
$(B)/bin/c4plan: $(B)/obj/planner/cli/main.o $(B)/ar/libplancli.a $(PLAN_AR) $(FLOOR)
$(B)/bin/c4plan: LIBS := $(CYAML) $(CURL) $(JANSSON) -lm
$(B)/bin/c4planner: $(B)/obj/planner/daemon/main.o $(B)/ar/libplanner.a $(PLAN_AR) $(FLOOR)
$(B)/bin/c4planner: LIBS := $(UV) $(MHD) $(CYAML) $(CURL) $(JANSSON) $(PROTOC) -lpthread -lm

$(B)/bin/%:
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

# A hook lives in other people's processes: only its table of calls is visible, nothing unresolved
# but libc, never unloaded (threads may be inside it).
$(B)/lib/libc4mpi.so: $(MPI) $(HOOK) $(BASE) agent/mpi/export.map
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-z,defs,-z,nodelete,-z,now -Wl,--version-script=agent/mpi/export.map \
		-o $@ $(filter %.o,$^)

$(B)/lib/libnccl-profiler-c4.so: $(NCCL) $(HOOK) $(BASE) agent/nccl/export.map
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-z,defs,-z,nodelete,-z,now -Wl,--version-script=agent/nccl/export.map \
		-o $@ $(filter %.o,$^) -lpthread

$(B)/lib/libc4nccl.so: $(NCCLAPI) $(HOOK) $(BASE) agent/nccl/api/export.map
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-z,defs,-z,nodelete,-z,now -Wl,--version-script=agent/nccl/api/export.map \
		-o $@ $(filter %.o,$^) -lpthread

$(B)/lib/libc4route.so: $(ROUTE) $(B)/ar/libhook.a $(B)/ar/libbase.a agent/route/export.map
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-z,defs,-z,nodelete,-z,now -Wl,--version-script=agent/route/export.map \
		-o $@ $(filter %.o %.a,$^)

$(B)/obj/agent/nccl/%.o $(B)/obj/agent/hook/%.o $(B)/obj/agent/mpi/%.o $(B)/obj/agent/route/%.o \
$(B)/obj/gen/mpi_wrap.o: \
	CFLAGS += -fvisibility=hidden -ftls-model=initial-exec -fno-stack-protector
# Sanitizers' runtimes use our dlvsym() before they can check anything.
$(B)/obj/agent/route/dlvsym.o $(B)/obj/agent/route/real.o: CFLAGS := $(filter-out -fsanitize%,$(CFLAGS)) \
	-fvisibility=hidden
$(B)/obj/agent/mpi/%.o $(B)/obj/gen/mpi_wrap.o: CPPFLAGS += $(MPI_CFLAGS)

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/gen/%.o: $(B)/gen/%.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# ---- generated sources -----------------------------------------------------------------------
PROTO_C := $(B)/gen/c4.pb-c.c $(B)/gen/route.pb-c.c
PROTO_H := $(PROTO_C:.c=.h)
$(PROTO_C): $(B)/gen/%.pb-c.c: include/c4/%.proto
	@mkdir -p $(@D)
	@echo "  PROTOC  $<"
	$(Q)protoc-c --c_out=$(@D) -I include/c4 $<
$(PROTO_H): %.h: %.c ;

$(B)/gen/mpi_wrap.c: agent/mpi/calls.tbl agent/mpi/wrap.awk
	@mkdir -p $(@D)
	@echo "  GEN     $@"
	$(Q)awk -f agent/mpi/wrap.awk agent/mpi/calls.tbl > $@.tmp && mv $@.tmp $@

$(call obj,$(call src,common agent/daemon agent/daemon/routes collector planner/daemon planner/daemon/routes \
	tests/unit tests/bench tests/fuzz)): | $(PROTO_H)

# ---- tests, checks, benchmarks, demo ---------------------------------------------------------
include tests/tests.mk

# ---- install ---------------------------------------------------------------------------------
.PHONY: install uninstall
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/c4 $(DESTDIR)$(PREFIX)/include/c4
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(LIB) $(DESTDIR)$(PREFIX)/lib/c4
	install -m 644 include/c4/*.h include/c4/*.proto $(DESTDIR)$(PREFIX)/include/c4

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(notdir $(BIN)))
	rm -rf $(DESTDIR)$(PREFIX)/lib/c4 $(DESTDIR)$(PREFIX)/include/c4

# ---- housekeeping ----------------------------------------------------------------------------
.PHONY: deps deps-check format clean help
deps:
	@tests/check/deps.sh install

FORMATTED := $(shell git ls-files '*.c' '*.h' 2>/dev/null)
format:
	clang-format -i $(FORMATTED)

clean:
	rm -rf build

help:
	@echo "make              build into build/bin and build/lib"
	@echo "make demo         install what is missing, build, watch a real training with two faults"
	@echo "make demo-routes  the same training without and with planned routes, on namespaces"
	@echo "make check        install what the tests need, build, run all tests"
	@echo "make bench        measure the budgets (table and JSON lines)"
	@echo "make deps         install build and test packages through apt"
	@echo "make install      PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)"
	@echo "make format       clang-format all sources in place"
	@echo "make clean        remove build/"
	@echo "Variables: V=1 shows commands; SANITIZE=address,undefined|thread; OPT=-O0"

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
