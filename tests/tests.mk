# tests.mk - how the tests are built and run. Each folder of tests is one Criterion program.

# Units are two programs: a test is a process of its own, and loading the engine takes longer than most.
# Those that wait for processes come first: they leave the cores to the sanitizers' builds beside them.
SUITES   := system chaos fault conformance unit worker journey isolation
suite_tests = $(sort $(shell find tests/$(1) -name 'test_*.c'))
worker_tests := $(shell find tests/unit/worker -name 'test_*.c')
suite_src = $(if $(filter worker,$(1)),$(sort $(worker_tests)),$(filter-out $(worker_tests),$(suite_tests)))
FUZZ_SECONDS ?= 5
JOBS := $(shell nproc)

# The command line is in no archive: its units are tested without its main.
CLI_OBJS := $(call objs,$(filter-out api/cli/main.c,$(call src,api/cli)))

# Our own objects call malloc, calloc and realloc through a wrapper, so that each can be made to fail.
WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc

# The product is compiled as it ships; what tests it needs no optimizer, which is most of a compiler's time
# (at -O1 the compiler still sees what is used before it is set).
$(foreach suite,$(SUITES),$(eval $(BUILD)/obj/tests/$(suite)/%.o: OPT := $(if $(SAN),-O0 -g1,-O1 -g1)))

# Nothing asks for these by name: they stand in for a function of a library's (the libraries find
# authorities.c's among what the program exports), or are Criterion's hooks.
STAND_INS := $(call objs,$(addprefix tests/support/,authorities.c ground.c patience.c))
EXPORTS := -Wl,--export-dynamic-symbol=mbedtls_x509_crt_parse_file
# AddressSanitizer describes every variable to itself by pointers, which each test's process would move.
FIXED := $(if $(findstring address,$(SAN)),-no-pie)
$(BUILD)/libsupport.a: $(filter-out $(STAND_INS),$(call objs,$(wildcard tests/support/*.c)))
	@rm -f $@ && ar rcs $@ $^

define suite_program
$(BUILD)/test-$(1): $$(call objs,$$(call suite_src,$(1))) $(if $(filter unit,$(1)),$(CLI_OBJS)) \
		$(STAND_INS) $(BUILD)/libsupport.a $(ALL_LIBS) $(BUILD)/libduckdb.so
	@echo "  ld   $$@"
	@$$(CC) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $(BUILD)/libsupport.a $(ALL_LIBS) \
		-Wl,--end-group $$(WRAP) $$(EXPORTS) $$(FIXED) \
		$$(LDFLAGS_ALL) $$(DUCK) $$(LIBS) -lcriterion
.PHONY: test-$(1)
test-$(1): $(BUILD)/test-$(1) $(if $(filter system journey fault chaos,$(1)),$(BINARIES)) \
		$(if $(filter chaos,$(1)),$(BUILD)/libclockstep.so)
	@sh tests/run.sh $(BUILD) $(1)
endef
$(foreach suite,$(SUITES),$(eval $(call suite_program,$(suite))))

.PHONY: test test-all test-asan test-tsan
test: ## every test that must hold
	@sh $(DEPS) $(BUILD) test
	@$(MAKE) --no-print-directory -j$(JOBS) test-build
	@$(MAKE) --no-print-directory test-all

.PHONY: test-build
test-build: $(BINARIES) $(patsubst %,$(BUILD)/test-%,$(SUITES)) $(BUILD)/libclockstep.so

# After `--` the longest come last: the second hand begins with them.
test-all:
	@sh tests/suites.sh $(BUILD) '$(MAKE)' $(SUITES) -- tsan/journey asan/journey tsan/worker asan/worker \
		asan/unit tsan/unit
	@FUZZ_RUNS=100000 $(MAKE) --no-print-directory fuzz

# A process under test sees its wall clock through this.
$(BUILD)/libclockstep.so: tests/clockstep/clockstep.c
	@echo "  ld   $@"
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -I. -fPIC -shared -o $@ $<

.PHONY: chaos
chaos: ## fifteen minutes of killed processes, cut links and stepped clocks; CHAOS_SECONDS, CHAOS_SEED
	@sh $(DEPS) $(BUILD) test
	@$(MAKE) --no-print-directory -j$(JOBS) $(BINARIES) $(BUILD)/test-chaos $(BUILD)/libclockstep.so
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-900} sh tests/run.sh $(BUILD) chaos

# Cases of the Cedar language in their own format: build/cedar-conformance DIR...
CEDAR_CASES := tests/conformance/cedar_conformance.c tests/support/cedar_cases.c
$(BUILD)/cedar-conformance: $(call objs,$(CEDAR_CASES)) $(patsubst %,$(BUILD)/lib%.a,policy tenant common)
	@echo "  ld   $@"
	@$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS)

# Sanitizer builds run what is one process: units and the journey.
SAN_SUITES := unit worker journey
.PHONY: asan-build tsan-build san-build
asan-build:
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD)/asan SAN=address,undefined \
		$(patsubst %,$(BUILD)/asan/test-%,$(SAN_SUITES)) $(BUILD)/asan/freehold-worker
tsan-build:
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD)/tsan SAN=thread \
		$(patsubst %,$(BUILD)/tsan/test-%,$(SAN_SUITES)) $(BUILD)/tsan/freehold-worker
san-build:
	@$(MAKE) --no-print-directory asan-build
	@$(MAKE) --no-print-directory tsan-build
	@$(MAKE) --no-print-directory -j$(JOBS) fuzz-build
test-asan: asan-build
	@for suite in $(SAN_SUITES); do sh tests/run.sh $(BUILD)/asan $$suite || exit 1; done
test-tsan: tsan-build
	@for suite in $(SAN_SUITES); do sh tests/run.sh $(BUILD)/tsan $$suite || exit 1; done

# The scheduler in virtual time: 10,000 tenants, 1,000,000 tasks, 2,000 workers, and a picture.
SIM_SRC := tests/simulation/simulate.c $(wildcard tests/support/sim*.c)
$(BUILD)/simulate: $(call objs,$(SIM_SRC)) $(ALL_LIBS) $(BUILD)/libduckdb.so
	@echo "  ld   $@"
	@$(CC) -o $@ $(filter %.o,$^) -Wl,--start-group $(ALL_LIBS) -Wl,--end-group $(LDFLAGS_ALL) \
		$(DUCK) $(LIBS)
.PHONY: simulate
simulate: ## the scheduler's promises in virtual time, long; draws build/simulation.svg
	@sh $(DEPS) $(BUILD) build
	@$(MAKE) --no-print-directory $(BUILD)/simulate
	@$(BUILD)/simulate $(BUILD)/simulation.svg

# Fuzzing: one libFuzzer program a decoder, with the corpus beside it.
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_CC := clang-14
FUZZ_FLAGS := -std=gnu11 -O1 -gline-tables-only -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-D_GNU_SOURCE -DFREEHOLD_VERSION='"fuzz"' -I. -isystem $(THIRD)/include -pthread
FUZZ_SRC := $(call src,common) $(call src,api) $(call src,tenant) $(call src,policy) \
	$(addprefix control/,backup.c backup_read.c batch.c change.c checkpoint.c placeholder.c \
	position.c) $(addprefix worker/,ask.c cell.c channel.c packing.c sql_from.c sql_lineage.c \
	sql_scope.c sql_tree.c sql_walk.c)
$(BUILD)/fuzz/obj/%.o: %.c | $(THIRD)/libduckdb.so
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(subst fuzzer$(comma),fuzzer-no-link$(comma),$(FUZZ_FLAGS)) -MMD -MP -c -o $@ $<
comma := ,
$(BUILD)/fuzz/libfuzzed.a: $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(FUZZ_SRC))
	@rm -f $@ && ar rcs $@ $^
$(BUILD)/fuzz/%: tests/fuzz/fuzz_%.c $(BUILD)/fuzz/libfuzzed.a
	@echo "  fuzz $@"
	@$(FUZZ_CC) $(FUZZ_FLAGS) -o $@ $^ -Wl,--as-needed $(LIBS)
.PHONY: fuzz fuzz-build
fuzz-build: $(patsubst %,$(BUILD)/fuzz/%,$(FUZZ_TARGETS))
fuzz:
	@$(MAKE) --no-print-directory -j$(JOBS) fuzz-build
	@FUZZ_JOBS=$(JOBS) sh tests/fuzz/run.sh $(BUILD) $(FUZZ_SECONDS) $(FUZZ_TARGETS)

.PHONY: check
check: all $(BUILD)/gen-docs ## style, layers, doors, sizes, globals, generated docs
	@sh tests/lint/all.sh $(BUILD)

BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
$(BUILD)/bench: $(call objs,$(BENCH_SRC)) $(ALL_LIBS) $(BUILD)/libduckdb.so
	@echo "  ld   $@"
	@$(CC) -o $@ $(filter %.o,$^) -Wl,--start-group $(ALL_LIBS) -Wl,--end-group $(LDFLAGS_ALL) \
		$(DUCK) $(LIBS)
bench: ## figures beside their floors
	@sh $(DEPS) $(BUILD) bench
	@$(MAKE) --no-print-directory all $(BUILD)/bench
	@$(BUILD)/bench --build $(BUILD) $(if $(ONLY),--only $(ONLY))
