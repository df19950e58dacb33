# Boots Debian's kernel in hearth inside the lab and looks at what it found. Prints TAP. POSIX sh, run by busybox:
#   sh linux.sh CPUS KERNEL HEARTH-ARGUMENTS...
cpus=$1
kernel=$2
shift 2
number=0
out=$(mktemp)

check() {
    number=$((number + 1))
    if grep -a -q "$2" "$out"; then
        echo "ok $number - $1"
    else
        sed 's/^/# /' "$out" | tail -60
        echo "not ok $number - $1"
        exit 1
    fi
}

/build/hearth -accel kvm -nographic -m 256M -smp "$cpus" -kernel "$kernel" -initrd /guest/initramfs "$@" \
    >"$out" 2>&1
status=$?
check "reaches its shell" "guest: shell"
check "has $cpus CPUs" "guest: $cpus CPUs"
check "is given its memory" 'BIOS-e820: \[mem 0x0*100000-0x0*fffffff\] usable'
check "and finds it all" "Memory: [0-9]*K/2617[0-9][0-9]K available"
case "$*" in
    *"-vga none"*) check "no console without a screen" "Console: colour dummy device" ;;
    *) check "a console on the screen" "Console: colour VGA+ 80x25" ;;
esac
check "reads the ACPI tables" "ACPI: Interpreter enabled"
check "routes interrupts by the IOAPIC" "ACPI: Using IOAPIC for interrupt routing"
check "takes the PCI links" "ACPI: PCI: Interrupt link LNKA configured for IRQ 10"
check "finds the serial port by its description" "00:0[0-9]: ttyS0 at I/O 0x3f8 (irq = 4"
check "finds the keyboard" "i8042: PNP: PS/2 Controller"
check "goes to S5" "ACPI: PM: Preparing to enter system sleep state S5"
[ "$status" = 0 ] || { echo "not ok $((number + 1)) - powers off: status $status"; exit 1; }
echo "ok $((number + 1)) - powers off"
