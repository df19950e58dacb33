# Guests that the system tests boot.
unit: $(BUILD)/terminal-guest.img
$(BUILD)/terminal-guest.img: tests/system/terminal_guest.asm
	@mkdir -p $(@D)
	nasm -f bin -o $@ $<
	truncate -s 1474560 $@

unit: $(BUILD)/direct-guest.elf
$(BUILD)/direct-guest.elf: tests/system/direct_guest.asm
	@mkdir -p $(@D)
	nasm -f elf32 -o $(BUILD)/direct-guest.o $<
	$(LD) -m elf_i386 -n -Ttext 0x100000 -e start -o $@ $(BUILD)/direct-guest.o

unit: $(BUILD)/remote-guest.img
$(BUILD)/remote-guest.img: tests/system/remote_guest.asm
	@mkdir -p $(@D)
	nasm -f bin -Werror -o $@ $<
	truncate -s 1474560 $@

unit: $(BUILD)/cpuid-guest.img
$(BUILD)/cpuid-guest.img: tests/system/cpuid_guest.asm
	@mkdir -p $(@D)
	nasm -f bin -Werror -o $@ $<
	truncate -s 1474560 $@

# hearth's image formats without a machine, for qcow2_test.py.
$(BUILD)/tests/block_tool: tests/system/block_tool.c $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(WARN) -o $@ $^ $(LIBS)
unit: $(BUILD)/tests/block_tool
