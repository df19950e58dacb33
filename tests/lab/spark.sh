# Boots spark in hearth inside the lab, feeds keys to it both ways, reads its answers, and counts what that cost in VM
# exits. Prints TAP. POSIX sh, run by busybox:   sh spark.sh HEARTH-ARGUMENTS...
folder=$(mktemp -d)
number=0
pid=

ok() {
    number=$((number + 1))
    echo "ok $number - $1"
}

end() {
    exec 3>&-
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    exit "$1"
}

fail() {
    number=$((number + 1))
    sed 's/^/# /' "$folder/out" "$folder/err" | tail -60
    echo "not ok $number - $1"
    end 1
}

# await COUNT TEXT WHAT: until the text has come so often over the serial line or the monitor.
await() {
    tenths=0
    while [ "$(grep -a -c "$2" "$folder/out")" -lt "$1" ]; do
        kill -0 "$pid" 2>/dev/null || fail "$3: hearth ended"
        [ "$tenths" -lt 300 ] || fail "$3: not within 30 seconds"
        tenths=$((tenths + 1))
        sleep 0.1
    done
    ok "$3"
}

# ask COMMAND TEXT...: over the serial line; each text has to come in the answer, which ends with a prompt.
ask() {
    prompts=$((prompts + 1))
    lines=$(wc -l <"$folder/out")
    printf '%s\r' "$1" >&3
    await "$prompts" 'spark> ' "$1"
    tail -n "+$lines" "$folder/out" >"$folder/answer"
    shift
    for text; do
        grep -a -q "$text" "$folder/answer" || fail "the answer has no '$text'"
    done
}

# What the kernel's counters say of the VM that is running.
count() {
    line=
    for counter in exits io_exits mmio_exits irq_window_exits halt_exits irq_injections insn_emulation host_state_reload; do
        [ ! -r "/sys/kernel/debug/kvm/$counter" ] || line="$line $counter $(cat "/sys/kernel/debug/kvm/$counter")"
    done
    echo "# $1:$line"
}

mkfifo "$folder/in"
: >"$folder/out"
/build/hearth -display none -serial mon:stdio "$@" <"$folder/in" >"$folder/out" 2>"$folder/err" &
pid=$!
exec 3>"$folder/in"

await 1 'spark> ' "boots to its prompt"
count "at the prompt"
printf 'free\r' >&3
await 2 'spark> ' "a command over the serial line"
await 1 'below 4 GB' "and its answer"
prompts=2
ask cpuinfo 'topology from leaf' ' 0 *0 *0 *0 *0'
ask e820 'records from INT 15h' '0000000000100000 .* 1 RAM'
ask gdt '0008 *00000000 FFFFFFFF 0 *32-bit code' '0010 *00000000 FFFFFFFF 0 *32-bit data'
ask 'pages 30400' 'CR3 = 00100000' 'table *48: 0003' 'physical address 00030400'
printf '\001c' >&3
await 1 '(qemu)' "the monitor"
printf 'sendkey f\rsendkey r\rsendkey e\rsendkey e\rsendkey ret\r' >&3
await 2 'below 4 GB' "keys of the keyboard arrive"
printf 'info registers\rinfo pic\rstop\rinfo status\rcont\rscreentext\r' >&3
await 1 'paused' "stop and cont"
await 3 'below 4 GB' "the screen shows it"
prompts=$(grep -a -c 'spark> ' "$folder/out")
printf 'system_reset\r\001c' >&3
await $((prompts + 1)) 'spark> ' "boots again after a reset"
printf 'poweroff\r' >&3
wait "$pid"
status=$?
pid=
[ "$status" = 0 ] || fail "powers off: status $status"
ok "powers off"
end 0
