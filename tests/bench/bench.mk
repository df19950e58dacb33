# `make bench`: hearth beside QEMU TCG and Bochs in the same run, as a table for docs/benchmarks.md.
bench: all $(BUILD)/bench/exit.rom
	python3 tests/bench/bench.py

$(BUILD)/bench/exit.rom: tests/bench/exit.asm
	@mkdir -p $(@D)
	nasm -f bin -o $@ $<

# `make bench-cpu`: the software CPU beside its peers, loop by loop.
bench-cpu: all
	python3 tests/bench/cpu.py
.PHONY: bench-cpu
