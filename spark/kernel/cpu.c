/* cpu.c: CPUID (Intel's manual, volume 2, CPUID, and volume 3, 9.9.3; AMD's manual 24594, appendix E.4) */
#include "asm.h"
#include "cpu.h"
#include "lib.h"

#define EFLAGS_ID              (1u << 21) /* can be changed: CPUID is there */
#define LEAF_FEATURES          1
#define LEAF_CACHES            4
#define LEAF_TOPOLOGY          0x0B
#define LEAF_EXTENDED          0x80000000u
#define LEAF_EXTENDED_FEATURES 0x80000001u
#define LEAF_BRAND             0x80000002u
#define LEAF_AMD_SIZES         0x80000008u
#define LEAF_AMD_TOPOLOGY      0x8000001Eu
#define EXTENDED_TOPOEXT       (1u << 22) /* leaf 8000_0001h, ECX */
#define LEVEL_THREAD           1

enum { EAX, EBX, ECX, EDX };

PRIVATE int cpuid_present(void)
{
    u32 before = read_eflags();
    write_eflags(before ^ EFLAGS_ID);
    u32 after = read_eflags();
    write_eflags(before);
    return (before ^ after) & EFLAGS_ID ? 1 : 0;
}

PRIVATE void identify_brand(struct cpu_identity *cpu)
{
    if (cpu->max_extended < LEAF_BRAND + 2)
        return;
    u32 text[12];
    for (u32 i = 0; i < 3; i++)
        cpuid(LEAF_BRAND + i, 0, text + 4 * i);
    char *from = (char *)text;
    while (*from == ' ')
        from++;
    memcpy(cpu->brand, from, (char *)text + sizeof text - from);
}

PRIVATE void identify_version(struct cpu_identity *cpu)
{
    u32 r[4];
    cpuid(LEAF_FEATURES, 0, r);
    cpu->stepping = r[EAX] & 0xF;
    cpu->model = r[EAX] >> 4 & 0xF;
    cpu->family = r[EAX] >> 8 & 0xF;
    if (cpu->family == 6 || cpu->family == 15)
        cpu->model |= r[EAX] >> 12 & 0xF0;
    if (cpu->family == 15)
        cpu->family += r[EAX] >> 20 & 0xFF;
    cpu->features_edx = r[EDX];
    cpu->features_ecx = r[ECX];
    cpu->apic_id = r[EBX] >> 24;
}

/* ---- Topology. An APIC id is made of a package, a core and a thread number, in as many bits as are needed. */

PRIVATE u32 bits_for(u32 count)
{
    u32 bits = 0;
    while (bits < 31 && 1u << bits < count)
        bits++;
    return bits;
}

/* Leaf 0Bh gives the bits themselves: for each level, how far to shift the x2APIC id to get the next one. */
PRIVATE int topology_leaf_b(struct cpu_identity *cpu)
{
    if (cpu->max_leaf < LEAF_TOPOLOGY)
        return 0;
    u32 r[4];
    cpuid(LEAF_TOPOLOGY, 0, r);
    if (!r[EBX])
        return 0;
    u32 package_shift = 0;
    for (u32 level = 0; level < 8; level++) {
        cpuid(LEAF_TOPOLOGY, level, r);
        u32 type = r[ECX] >> 8 & 0xFF;
        if (!type)
            break;
        if (type == LEVEL_THREAD)
            cpu->thread_bits = r[EAX] & 0x1F;
        package_shift = r[EAX] & 0x1F;
    }
    cpu->apic_id = r[EDX];
    cpu->core_bits = package_shift > cpu->thread_bits ? package_shift - cpu->thread_bits : 0;
    cpu->topology_from = "leaf 0Bh";
    return 1;
}

/* AMD: 8000_0008h has the cores (or all threads) of the package, 8000_001Eh the threads of a core. */
PRIVATE int topology_amd(struct cpu_identity *cpu)
{
    if (cpu->max_extended < LEAF_AMD_SIZES || !text_equal(cpu->vendor, "AuthenticAMD"))
        return 0;
    u32 r[4];
    cpuid(LEAF_AMD_SIZES, 0, r);
    u32 package_bits = r[ECX] >> 12 & 0xF;
    if (!package_bits)
        package_bits = bits_for((r[ECX] & 0xFF) + 1);
    cpu->topology_from = "leaf 8000_0008h";
    if (cpu->extended_ecx & EXTENDED_TOPOEXT && cpu->max_extended >= LEAF_AMD_TOPOLOGY) {
        cpuid(LEAF_AMD_TOPOLOGY, 0, r);
        cpu->thread_bits = bits_for((r[EBX] >> 8 & 0xFF) + 1);
        cpu->topology_from = "leaves 8000_0008h and 8000_001Eh";
    }
    cpu->core_bits = package_bits > cpu->thread_bits ? package_bits - cpu->thread_bits : 0;
    return 1;
}

/* Leaf 1 has the ids that a package takes, leaf 4 those that its cores take. */
PRIVATE void topology_legacy(struct cpu_identity *cpu)
{
    u32 r[4];
    cpu->topology_from = "leaf 1";
    if (!(cpu->features_edx & FEATURE_HTT))
        return;
    cpuid(LEAF_FEATURES, 0, r);
    u32 threads = r[EBX] >> 16 & 0xFF, cores = 1;
    if (cpu->max_leaf >= LEAF_CACHES) {
        cpuid(LEAF_CACHES, 0, r);
        if (r[EAX] & 0x1F) {
            cores = (r[EAX] >> 26) + 1;
            cpu->topology_from = "leaves 1 and 4";
        }
    }
    u32 package_bits = bits_for(threads);
    cpu->core_bits = bits_for(cores);
    if (cpu->core_bits > package_bits)
        cpu->core_bits = package_bits;
    cpu->thread_bits = package_bits - cpu->core_bits;
}

PRIVATE void identify_topology(struct cpu_identity *cpu)
{
    if (!topology_leaf_b(cpu) && !topology_amd(cpu))
        topology_legacy(cpu);
    cpu->thread = cpu->apic_id & ((1u << cpu->thread_bits) - 1);
    cpu->core = cpu->apic_id >> cpu->thread_bits & ((1u << cpu->core_bits) - 1);
    cpu->package = cpu->apic_id >> (cpu->thread_bits + cpu->core_bits);
}

PUBLIC void cpu_identify(struct cpu_identity *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    cpu->has_cpuid = cpuid_present();
    if (!cpu->has_cpuid)
        return;
    u32 r[4];
    cpuid(0, 0, r);
    cpu->max_leaf = r[EAX];
    memcpy(cpu->vendor, &r[EBX], 4);
    memcpy(cpu->vendor + 4, &r[EDX], 4);
    memcpy(cpu->vendor + 8, &r[ECX], 4);
    cpuid(LEAF_EXTENDED, 0, r);
    cpu->max_extended = r[EAX] & LEAF_EXTENDED ? r[EAX] : 0;
    if (cpu->max_extended >= LEAF_EXTENDED_FEATURES) {
        cpuid(LEAF_EXTENDED_FEATURES, 0, r);
        cpu->extended_edx = r[EDX];
        cpu->extended_ecx = r[ECX];
    }
    if (cpu->max_leaf >= LEAF_FEATURES) {
        identify_version(cpu);
        identify_topology(cpu);
    }
    identify_brand(cpu);
}

/* ---- The names of the feature bits, bit 0 first; `-` is a bit without a name */

PRIVATE const char names_edx[] =
    "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush "
    "- dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe";
PRIVATE const char names_ecx[] =
    "sse3 pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr "
    "pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline aes xsave osxsave "
    "avx f16c rdrand hypervisor";
PRIVATE const char names_extended_edx[] =
    "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt "
    "pdpe1gb rdtscp - lm 3dnowext 3dnow";
PRIVATE const char names_extended_ecx[] =
    "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse "
    "3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm "
    "topoext perfctr_core";

PRIVATE u32 print_names(u32 bits, const char *names, u32 column)
{
    for (u32 bit = 0; bit < 32 && *names; bit++) {
        u32 length = 0;
        while (names[length] && names[length] != ' ')
            length++;
        if (bits >> bit & 1 && *names != '-') {
            if (column + length + 1 > 78) {
                kprintf("\n         ");
                column = 9;
            }
            kprintf(" ");
            for (u32 i = 0; i < length; i++)
                kprintf("%c", names[i]);
            column += length + 1;
        }
        names += names[length] ? length + 1 : length;
    }
    return column;
}

PUBLIC void cpu_print_features(const struct cpu_identity *cpu)
{
    kprintf("features:");
    u32 column = print_names(cpu->features_edx, names_edx, 9);
    column = print_names(cpu->features_ecx, names_ecx, column);
    column = print_names(cpu->extended_edx, names_extended_edx, column);
    print_names(cpu->extended_ecx, names_extended_ecx, column);
    kprintf("\n");
}
