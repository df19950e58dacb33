# spark.mk: the operating system and its three images. Needs nasm, gcc, ld and awk.

SPARK       := spark
SPARK_BUILD := $(BUILD)/spark
SPARK_CC    ?= gcc
# Every function keeps its frame and is not inlined, so that a stack trace shows what the source shows.
SPARK_CFLAGS := -std=gnu11 -m32 -march=i386 -O2 -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
                -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -fno-shrink-wrap \
                -fno-optimize-sibling-calls -fno-inline-functions-called-once -fno-inline-small-functions \
                -fcf-protection=none \
                -fno-strict-aliasing -fno-delete-null-pointer-checks -mno-sse -mno-mmx -mno-80387 -Wall -Wextra -Werror

SPARK_LOADER_PARTS := $(wildcard $(SPARK)/loader/*.inc) $(SPARK)/boot/load.inc
SPARK_KERNEL_C     := $(sort $(wildcard $(SPARK)/kernel/*.c))
SPARK_KERNEL_ASM   := $(SPARK)/kernel/kernel.asm $(filter-out $(SPARK)/kernel/kernel.asm,$(sort $(wildcard $(SPARK)/kernel/*.asm)))
SPARK_OBJECTS      := $(SPARK_KERNEL_ASM:$(SPARK)/kernel/%.asm=$(SPARK_BUILD)/%.asm.o) \
                      $(SPARK_KERNEL_C:$(SPARK)/kernel/%.c=$(SPARK_BUILD)/%.o)
SPARK_LD           := ld -m elf_i386 -nostdlib -z noexecstack --build-id=none -Ttext 0x30400 -T $(SPARK)/kernel/kernel.ld

images: $(BUILD)/spark.img $(BUILD)/spark-disk.img $(BUILD)/spark.iso

$(BUILD)/spark.img: $(SPARK_BUILD)/mkimage $(SPARK_BUILD)/boot.bin $(SPARK_BUILD)/loader.bin $(SPARK_BUILD)/kernel.bin
	$(SPARK_BUILD)/mkimage floppy $@ $(wordlist 2,4,$^)

$(BUILD)/spark-disk.img: $(SPARK_BUILD)/mkimage $(SPARK_BUILD)/mbr.bin $(SPARK_BUILD)/boot.bin $(SPARK_BUILD)/loader.bin $(SPARK_BUILD)/kernel.bin
	$(SPARK_BUILD)/mkimage disk $@ $(wordlist 2,5,$^)

$(BUILD)/spark.iso: $(SPARK_BUILD)/mkimage $(BUILD)/spark.img
	$(SPARK_BUILD)/mkimage iso $@ $(BUILD)/spark.img

$(SPARK_BUILD)/mkimage: $(SPARK)/image/mkimage.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -o $@ $<

$(SPARK_BUILD)/%.bin: $(SPARK)/boot/%.asm $(SPARK)/boot/load.inc
	@mkdir -p $(@D)
	nasm -f bin -Werror -I $(SPARK)/boot/ -o $@ $<

$(SPARK_BUILD)/loader.bin: $(SPARK)/loader/loader.asm $(SPARK_LOADER_PARTS)
	@mkdir -p $(@D)
	nasm -f bin -Werror -I $(SPARK)/boot/ -I $(SPARK)/loader/ -o $@ $<

# The kernel is linked twice: the symbol table for the panic screen is made from the first link.
$(SPARK_BUILD)/kernel.bin: $(SPARK_BUILD)/kernel.elf
	strip -s -o $@ $<

$(SPARK_BUILD)/kernel.elf: $(SPARK_OBJECTS) $(SPARK_BUILD)/full-table.o $(SPARK)/kernel/kernel.ld $(SPARK)/kernel/check.sh
	$(SPARK_LD) -o $@.unchecked $(SPARK_OBJECTS) $(SPARK_BUILD)/full-table.o
	$(SPARK)/kernel/check.sh $@.unchecked $(SPARK_BUILD)/full-table.asm
	mv $@.unchecked $@

$(SPARK_BUILD)/full-table.asm: $(SPARK_OBJECTS) $(SPARK_BUILD)/empty-table.o $(SPARK)/kernel/kernel.ld $(SPARK)/kernel/symbols.awk
	$(SPARK_LD) -o $(SPARK_BUILD)/first.elf $(SPARK_OBJECTS) $(SPARK_BUILD)/empty-table.o
	nm -n $(SPARK_BUILD)/first.elf | awk -f $(SPARK)/kernel/symbols.awk >$@

$(SPARK_BUILD)/empty-table.asm: $(SPARK)/kernel/symbols.awk
	@mkdir -p $(@D)
	awk -f $< /dev/null >$@

$(SPARK_BUILD)/%-table.o: $(SPARK_BUILD)/%-table.asm
	nasm -f elf32 -Werror -o $@ $<

$(SPARK_BUILD)/%.asm.o: $(SPARK)/kernel/%.asm
	@mkdir -p $(@D)
	nasm -f elf32 -Werror -o $@ $<

$(SPARK_BUILD)/%.o: $(SPARK)/kernel/%.c $(SPARK)/spark.mk
	@mkdir -p $(@D)
	$(SPARK_CC) $(SPARK_CFLAGS) -MMD -MP -c -o $@ $<

.SECONDARY: $(SPARK_BUILD)/full-table.asm $(SPARK_BUILD)/empty-table.asm
-include $(wildcard $(SPARK_BUILD)/*.d)
