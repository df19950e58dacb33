# The KVM engine's test program. It needs a real KVM, so it is no unit test that runs by itself: engine_test.py has the
# lab run it.
LAB := $(BUILD)/lab

unit: $(LAB)/engine

$(LAB)/engine: $(LAB)/engine.o $(LAB)/engine_interrupts.o $(LAB)/guests.o $(LIBRARY)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
$(LAB)/engine.o $(LAB)/engine_interrupts.o: $(LAB)/%.o: tests/lab/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) -MMD -MP -c -o $@ $<
$(LAB)/guests.o: tests/lab/guests.asm
	@mkdir -p $(@D)
	nasm -f elf64 -o $@ $<

-include $(LAB)/engine.d $(LAB)/engine_interrupts.d

unit: $(LAB)/remote
$(LAB)/remote: tests/lab/remote.c
	@mkdir -p $(@D)
	$(CC) -O2 -g -std=gnu11 $(WARN) -static -o $@ $<

unit: $(LAB)/writer
$(LAB)/writer: tests/lab/writer.c
	@mkdir -p $(@D)
	$(CC) -O2 -g -std=gnu11 $(WARN) -static -o $@ $<
