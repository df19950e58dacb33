# The instruction-level test rig: build/tests/cpu_test (see tests/cpu/cpu_test.c).
CPU_TEST := $(patsubst %,$(BUILD)/objects/%.o,$(basename $(wildcard tests/cpu/*.c tests/cpu/*.S)))

$(BUILD)/objects/tests/cpu/%.o: tests/cpu/%.S tests/cpu/layout.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -c -o $@ $<

$(BUILD)/tests/cpu_test: $(CPU_TEST) $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

unit: $(BUILD)/tests/cpu_test
-include $(CPU_TEST:.o=.d)
