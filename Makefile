# Freehold. `make demo` and `make test` do their own set-up; `make help` lists the rest.
# Files are found, not listed: a new .c in a folder is built, a new tests/*/test_*.c is run.

BUILD  ?= build
CC     ?= cc
PREFIX ?= /usr/local
SAN    ?=
VERSION := $(shell cat VERSION)

DEPS   := deploy/deps.sh
THIRD  := third_party/duckdb

OPT := $(if $(SAN),-O1 -g1,-O2 -g)
CFLAGS_ALL = -std=gnu11 $(OPT) -pthread -fPIC -fno-omit-frame-pointer -fstack-protector-strong \
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wno-format-truncation -Werror -D_GNU_SOURCE -DFREEHOLD_VERSION='"$(VERSION)"' -I. \
	-isystem $(THIRD)/include $(CFLAGS)
ifeq ($(SAN),)
CFLAGS_ALL += -D_FORTIFY_SOURCE=2
else
CFLAGS_ALL += -fsanitize=$(SAN) -fno-sanitize-recover=all
endif
LDFLAGS_ALL := -pthread -Wl,--as-needed -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
LIBS := -lnng -lcurl -lsodium -lmsgpackc -llz4 -lmicrohttpd -lgnutls -ljansson -lyaml -llmdb -lssl -lcrypto \
	-lseccomp -lz -lm
DUCK := -L$(THIRD) -lduckdb -Wl,-rpath,'$$ORIGIN' -Wl,-rpath,'$$ORIGIN/../lib/freehold'

LAYERS := common api tenant policy control worker
src     = $(sort $(wildcard $(1)/*.c))
objs    = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
MAINS  := control/main.c worker/main.c

# Archives in link order: the higher folder first.
CONTROL_LIBS := $(patsubst %,$(BUILD)/lib%.a,control policy tenant api common)
WORKER_LIBS  := $(patsubst %,$(BUILD)/lib%.a,worker api common)
CLI_LIBS     := $(patsubst %,$(BUILD)/lib%.a,policy tenant api common)
ALL_LIBS     := $(patsubst %,$(BUILD)/lib%.a,control worker policy tenant api common)

BINARIES := $(BUILD)/freehold $(BUILD)/freehold-control $(BUILD)/freehold-worker

.PHONY: all
all: $(BINARIES)

$(BUILD)/obj/%.o: %.c | $(THIRD)/libduckdb.so
	@mkdir -p $(@D)
	@echo "  cc   $<"
	@$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

define layer_archive
$(BUILD)/lib$(1).a: $(call objs,$(filter-out $(MAINS),$(call src,$(1))))
	@rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach layer,$(LAYERS),$(eval $(call layer_archive,$(layer))))

$(BUILD)/freehold: $(call objs,$(call src,api/cli)) $(CLI_LIBS)
	@echo "  ld   $@"
	@$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS)

$(BUILD)/freehold-control: $(call objs,control/main.c) $(CONTROL_LIBS)
	@echo "  ld   $@"
	@$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS)

# lens.o is named, not archived: it must win over libc for libduckdb's calls, hence --export-dynamic.
$(BUILD)/freehold-worker: $(call objs,worker/main.c worker/lens.c) $(WORKER_LIBS) $(BUILD)/libduckdb.so
	@echo "  ld   $@"
	@$(CC) -o $@ $(filter %.o %.a,$^) -Wl,--export-dynamic $(LDFLAGS_ALL) $(DUCK) $(LIBS)

$(BUILD)/gen-docs: $(call objs,docs/gen_docs.c control/ocsf.c) $(CLI_LIBS)
	@echo "  ld   $@"
	@$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS)

$(BUILD)/libduckdb.so: $(THIRD)/libduckdb.so
	@mkdir -p $(@D)
	@cp $< $@

# Downloads by package name, pinned by version and digest; installs Debian's packages when missing.
$(THIRD)/libduckdb.so: $(DEPS)
	@sh $(DEPS) $(BUILD)

-include $(shell [ -d $(BUILD)/obj ] && find $(BUILD)/obj -name '*.d')
include tests/tests.mk

.PHONY: deps demo bench install clean help docs
docs: $(BUILD)/gen-docs ## the reference pages, out of the tables
	@mkdir -p docs/reference
	@$(BUILD)/gen-docs docs/reference

deps:
	@sh $(DEPS) $(BUILD)

demo: ## the story on real data: raw files to served features, in a few minutes
	@sh $(DEPS) $(BUILD) demo
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@sh deploy/demo.sh $(BUILD)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/freehold
	install -m 0755 $(BINARIES) $(DESTDIR)$(PREFIX)/bin
	install -m 0644 $(BUILD)/libduckdb.so $(DESTDIR)$(PREFIX)/lib/freehold

clean:
	rm -rf $(BUILD)

help:
	@echo 'make          build into $(BUILD)/'
	@echo 'make demo     the story on real data, with what it needs installed'
	@echo 'make test     every test that must hold'
	@echo 'make check    style, layers, doors, sizes, globals, generated docs up to date'
	@echo 'make docs     the reference pages, out of the tables'
	@echo 'make bench    figures beside their floors; ONLY=NAME for one'
	@echo 'make simulate the scheduler in virtual time, a million tasks; draws build/simulation.svg'
	@echo 'make chaos    fifteen minutes of kills, cuts and clock steps; CHAOS_SECONDS, CHAOS_SEED'
	@echo 'make fuzz     the fuzz targets for FUZZ_SECONDS each'
	@echo 'make install  DESTDIR= PREFIX=/usr/local'
