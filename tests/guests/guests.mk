# The test guests: floppy images of 1.44 MB, each from one source and the shared include files. `make unit` builds them too.
GUESTS := $(patsubst tests/guests/%.asm,build/guests/%.img,$(wildcard tests/guests/*.asm))

guests: $(GUESTS)
unit: guests

build/guests/%.img: tests/guests/%.asm $(wildcard tests/guests/*.inc)
	@mkdir -p $(@D)
	nasm -f bin -Werror -i tests/guests/ -o $@ $<

.PHONY: guests
