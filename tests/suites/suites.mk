# Runs single-step vectors: build/tests/vectors (see tests/suites/vectors.c). suites_test.py builds it where there are any.
$(BUILD)/tests/vectors: $(BUILD)/objects/tests/suites/vectors.o $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(BUILD)/objects/tests/suites/vectors.d
