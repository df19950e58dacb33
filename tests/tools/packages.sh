# Finds what is missing and installs it: sourced by ./run and ./test. POSIX sh.
#
#   packages_need COMMAND-THAT-SUCCEEDS-IF-THERE apt dnf pacman apk     ("-" where a family has no such package)
#   packages_install                        asks the system's package manager for all that was missing

packages_missing=

package_family() {
    for family in apt-get dnf pacman apk; do
        command -v "$family" >/dev/null 2>&1 && { echo "$family"; return; }
    done
    echo none
}

packages_need() {
    sh -c "$1" >/dev/null 2>&1 && return
    case $(package_family) in
        apt-get) name=$2 ;;
        dnf) name=$3 ;;
        pacman) name=$4 ;;
        apk) name=$5 ;;
        *) name=$2 ;;
    esac
    [ "$name" = - ] || packages_missing="$packages_missing $name"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "not root, and no sudo: install these yourself:$packages_missing" >&2
        return 1
    fi
}

# What was said is shown only if it failed.
quietly() {
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

packages_install() {
    [ -n "$packages_missing" ] || return 0
    echo "installing:$packages_missing" >&2
    # shellcheck disable=SC2086 # the list is words
    case $(package_family) in
        apt-get)
            quietly as_root apt-get update -q &&
            quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
                $packages_missing ;;
        dnf) quietly as_root dnf install -q -y $packages_missing ;;
        pacman) quietly as_root pacman -Sy --noconfirm --needed $packages_missing ;;
        apk) quietly as_root apk add -q $packages_missing ;;
        *) echo "no package manager that is known here; needed:$packages_missing" >&2; false ;;
    esac
}

header() {
    echo "echo '#include <$1>' | \${CC:-gcc} -E - "
}

# To build and run.
packages_for_build() {
    packages_need "command -v gcc"     gcc gcc gcc gcc
    packages_need "command -v make"    make make make make
    packages_need "command -v nasm"    nasm nasm nasm nasm
    packages_need "command -v ld && command -v objcopy" binutils binutils binutils binutils
    packages_need "$(header stdlib.h)" libc6-dev glibc-devel glibc musl-dev
    packages_need "$(header linux/kvm.h)" linux-libc-dev kernel-headers linux-api-headers linux-headers
    packages_need "$(header Zydis/Zydis.h)" libzydis-dev zydis-devel zydis zydis-dev
    packages_need "$(header png.h)"    libpng-dev libpng-devel libpng libpng-dev
    packages_need "$(header jansson.h)" libjansson-dev jansson-devel jansson jansson-dev
    packages_need "$(header slirp/libslirp.h)" libslirp-dev libslirp-devel libslirp libslirp-dev
    packages_need "$(header rfb/rfb.h)" libvncserver-dev libvncserver-devel libvncserver libvncserver-dev
    packages_need "$(header zlib.h)"   zlib1g-dev zlib-devel zlib zlib-dev
    packages_need "$(header libnbd.h)" libnbd-dev libnbd-devel libnbd libnbd-dev
    packages_need "$(header zstd.h)"   libzstd-dev libzstd-devel zstd zstd-dev
    packages_need "command -v mcopy"   mtools mtools mtools mtools
    packages_need "command -v xorriso" xorriso xorriso libisoburn xorriso
    packages_need "ls /usr/share/seabios/bios-256k.bin || ls /usr/share/qemu/bios-256k.bin" \
        seabios seabios-bin seabios seabios
}

# For the whole test run besides. Each is optional: a test that lacks one says so and counts as skipped.
packages_for_tests() {
    packages_for_build
    packages_need "$(header cmocka.h)"      libcmocka-dev libcmocka-devel cmocka cmocka-dev
    packages_need "python3 -c 'import argparse, concurrent.futures, pty, select, socket, tempfile'" \
        python3 python3 python python3
    packages_need "command -v clang"        clang clang clang clang
    packages_need "command -v clang-format" clang-format clang-tools-extra clang clang-extra-tools
    packages_need "command -v qemu-system-x86_64" qemu-system-x86 qemu-system-x86-core qemu-system-x86 \
        qemu-system-x86_64
    packages_need "command -v qemu-img && command -v qemu-nbd" qemu-utils qemu-img qemu-img qemu-img
    packages_need "command -v bochs"        bochs bochs bochs -
    packages_need "test -e /usr/lib/bochs || ls /usr/lib/*/bochs" bochs-term - - -
    packages_need "test -e /usr/share/bochs/BIOS-bochs-latest" bochsbios - - -
    packages_need "test -e /usr/share/bochs/VGABIOS-lgpl-latest" vgabios - - -
    packages_need "command -v cpio"         cpio cpio cpio cpio
    packages_need "command -v iasl"         acpica-tools acpica-tools acpica acpica
    packages_need "command -v dmidecode"    dmidecode dmidecode dmidecode dmidecode
    packages_need "command -v openssl"      openssl openssl openssl openssl
    packages_need "command -v vncsnapshot"  vncsnapshot - - -
    packages_need "command -v djpeg"        libjpeg-turbo-progs libjpeg-turbo-utils libjpeg-turbo libjpeg-turbo-utils
    packages_need "command -v gvnccapture"  gvncviewer gtk-vnc gtk-vnc gtk-vnc
    packages_need "command -v xtigervncviewer" tigervnc-viewer tigervnc tigervnc -
    packages_need "command -v Xvfb"         xvfb xorg-x11-server-Xvfb xorg-server-xvfb xvfb
    packages_need "command -v xdotool"      xdotool xdotool xdotool xdotool
    packages_need "test -e /sbin/mke2fs || command -v mke2fs" e2fsprogs e2fsprogs e2fsprogs e2fsprogs
    packages_need "command -v grub-mkrescue || command -v grub2-mkrescue" grub-common grub2-tools-extra grub grub
    packages_need "test -e /usr/lib/grub/i386-pc" grub-pc-bin grub2-pc-modules grub grub-bios
    packages_need "test -e /usr/lib/grub-rescue" grub-rescue-pc - - -
    packages_need "command -v syslinux"     syslinux syslinux syslinux syslinux
    packages_need "test -e /usr/lib/memtest86+" memtest86+ - - -
    packages_need "test -e /usr/lib/ipxe/ipxe.iso" ipxe - - -
    packages_need "test -e /usr/lib/debian-installer/images/12" debian-installer-12-netboot-amd64 - - -
    packages_need "test -e /bin/busybox || test -e /usr/bin/busybox" busybox-static busybox busybox busybox-static
}
