# hearth and spark. `make` builds build/hearth and spark's three images; `make SAN=1` a sanitizer build in build/san.
#
#   make            build/hearth build/spark.img build/spark-disk.img build/spark.iso
#   make unit       the unit test programs, in build/tests
#   make bench      the benchmarks (tests/bench)
#   make install    into DESTDIR and PREFIX (/usr/local);  make deb  a Debian package in build/
#   make format     clang-format over the tree;  make check-format only looks

ifeq ($(origin CC),default)
CC := gcc
endif
BUILD  := build
CFLAGS ?= -O2 -g
WARN   := -Wall -Wextra -Werror

ifdef SAN
BUILD  := build/san
CFLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DPLAIN_DISPATCH
endif

# An optional library is found by trying to compile with it; what was left out is said by `hearth -version`.
HASH := \#
has = $(shell printf '$(HASH)include <$(1)>\nint main(void){return 0;}\n' | $(CC) -x c - -o /dev/null $(2) >/dev/null 2>&1 && echo yes)

HAVE_PNG := $(call has,png.h,-lpng)
HAVE_JANSSON := $(call has,jansson.h,-ljansson)
HAVE_VNC := $(call has,rfb/rfb.h,-lvncserver)
HAVE_SLIRP := $(call has,slirp/libslirp.h,-lslirp)
HAVE_ZLIB := $(call has,zlib.h,-lz)
HAVE_ZSTD := $(call has,zstd.h,-lzstd)
HAVE_NBD := $(call has,libnbd.h,-lnbd)
OPTIONAL := PNG JANSSON VNC SLIRP ZLIB ZSTD NBD

CPPFLAGS += -Ihearth -Itests -D_GNU_SOURCE $(foreach library,$(OPTIONAL),$(if $(HAVE_$(library)),-DHAVE_$(library)))
LIBS     := -lZydis -ldl -lpthread
# gcc turns `return op[1].run(...)` into a jump only with these; cpu/soft/op.h tells why it matters.
CFLAGS   += -std=gnu11 -fno-strict-aliasing -fno-stack-protector
SOFT     := -foptimize-sibling-calls -fcf-protection=none

SOURCES := $(sort $(shell find hearth -name '*.c'))
OBJECTS := $(SOURCES:%.c=$(BUILD)/objects/%.o)
LIBRARY := $(BUILD)/libhearth.a

all: $(BUILD)/hearth images

$(BUILD)/hearth: $(BUILD)/objects/hearth/main.o $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(LIBRARY): $(filter-out $(BUILD)/objects/hearth/main.o,$(OBJECTS))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/objects/hearth/cpu/soft/%.o: EXTRA = $(SOFT)

$(BUILD)/objects/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $(EXTRA) -MMD -MP -c -o $@ $<

# ---- tests

UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/*_test.c))
unit: $(UNIT)
$(BUILD)/tests/%_test: $(BUILD)/tests/unit/%_test.o $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
$(BUILD)/tests/unit/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) -MMD -MP -c -o $@ $<
.PRECIOUS: $(BUILD)/tests/unit/%.o

images:

include $(wildcard spark/spark.mk tests/*/*.mk packaging/*.mk)
-include $(OBJECTS:.o=.d) $(wildcard $(BUILD)/tests/unit/*.d)

FORMATTED = $(shell git ls-files '*.c' '*.h')
format:
	clang-format -i $(FORMATTED)
check-format:
	clang-format --dry-run -Werror $(FORMATTED)

clean:
	rm -rf build

.PHONY: all images unit bench format check-format clean
