# Random bytes as code, by hand: make SAN=1 build/san/tests/random_code (see tests/fuzz/random_code.c).
$(BUILD)/tests/random_code: $(BUILD)/objects/tests/fuzz/random_code.o $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(BUILD)/objects/tests/fuzz/random_code.d

# libFuzzer targets, NAME_fuzz.c: `make fuzz` builds them in build/fuzz with clang; `build/fuzz/ide_fuzz FOLDER` runs one for
# ever and keeps what is interesting in the folder. tests/fuzz/run.py runs each for a while.
FUZZ := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
fuzz:
	$(MAKE) CC="$(firstword $(filter ccache,$(CC))) clang" BUILD=build/fuzz \
	    CFLAGS="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -DPLAIN_DISPATCH" \
	    FUZZ_LINK="-fsanitize=fuzzer" $(FUZZ)
ifdef FUZZ_LINK
build/fuzz/%_fuzz: build/fuzz/objects/tests/fuzz/%_fuzz.o build/fuzz/libhearth.a
	$(CC) $(CFLAGS) $(FUZZ_LINK) -o $@ $^ $(LIBS)
.PRECIOUS: build/fuzz/objects/tests/fuzz/%_fuzz.o
-include $(wildcard build/fuzz/objects/tests/fuzz/*.d)
endif
.PHONY: fuzz
