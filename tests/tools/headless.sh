# Boots spark without a terminal, waits for its prompt, types `cpuinfo`, `free` and `e820` over the serial line, shows
# all that was said, and powers off. Called by ./run from the root of the tree. POSIX sh.
set -eu
limit=${HEADLESS_LIMIT:-600} # tenths of a second for each step
folder=$(mktemp -d)
pid=
trap 'exec 3>&-; [ -z "$pid" ] || kill "$pid" 2>/dev/null || :; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

fail() {
    cat "$folder/out" "$folder/err"
    echo "failed: $1" >&2
    exit 1
}

mkfifo "$folder/in"
build/hearth -name spark -boot a -fda build/spark.img -display none -serial mon:stdio "$@" \
    <"$folder/in" >"$folder/out" 2>"$folder/err" &
pid=$!
exec 3>"$folder/in"

prompts() {
    grep -a -c 'spark> ' "$folder/out" || :
}

# Waits for the count of prompts to reach $1.
await() {
    tenths=0
    while [ "$(prompts)" -lt "$1" ]; do
        kill -0 "$pid" 2>/dev/null || fail "hearth ended before $2"
        [ "$tenths" -lt "$limit" ] || fail "no prompt within $((limit / 10)) seconds after $2"
        tenths=$((tenths + 1))
        sleep 0.1
    done
}

await 1 "the boot"
printf '\001cscreentext\n\001c' >&3 # the screen, from the monitor: what firmware and loader said
seen=1
for command in cpuinfo free e820; do
    printf '%s\r' "$command" >&3
    seen=$((seen + 1))
    await "$seen" "$command"
done
printf 'poweroff\r' >&3
tenths=0
while kill -0 "$pid" 2>/dev/null; do
    [ "$tenths" -lt "$limit" ] || fail "spark did not power off"
    tenths=$((tenths + 1))
    sleep 0.1
done
status=0
wait "$pid" || status=$?
pid=
cat "$folder/err" "$folder/out"
[ "$status" = 0 ] || { echo "failed: hearth ended with status $status" >&2; exit "$status"; }
