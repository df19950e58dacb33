# Guests that the system tests boot.
images: $(BUILD)/terminal-guest.img
$(BUILD)/terminal-guest.img: tests/system/terminal_guest.asm
	@mkdir -p $(@D)
	nasm -f bin -o $@ $<
	truncate -s 1474560 $@
