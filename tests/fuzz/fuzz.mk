# Random bytes as code, by hand: make SAN=1 build/san/tests/random_code (see tests/fuzz/random_code.c).
$(BUILD)/tests/random_code: $(BUILD)/objects/tests/fuzz/random_code.o $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(BUILD)/objects/tests/fuzz/random_code.d
