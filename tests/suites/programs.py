"""The programs of kvm-unit-tests that are run: those that its own CI asks of QEMU's TCG, and those that TCG fails.

A program is a multiboot kernel, started with -kernel; status 1 means passed, 77 that the CPU has not got what it tests.
"""
from collections import namedtuple

Program = namedtuple("Program", "name file append cpus cpu")


def program(name, file=None, append="", cpus=1, cpu="max"):
    return Program(name, (file or name) + ".flat", append, cpus, cpu)


def vmexit(name, append=None, cpus=1):
    return program("vmexit_" + name, "vmexit", append or name, cpus)


EXITS = [vmexit("cpuid"), vmexit("cr0_wp", "toggle_cr0_wp", 2), vmexit("cr4_pge", "toggle_cr4_pge", 2),
         vmexit("inl_pmtimer", "inl_from_pmtimer"), vmexit("ipi", cpus=2), vmexit("ipi_halt", cpus=2),
         vmexit("mov_from_cr8"), vmexit("mov_to_cr8"), vmexit("ple_round_robin"), vmexit("tscdeadline"),
         vmexit("tscdeadline_immed")]

BOTH = [program("eventinj"), program("realmode"), program("s3"), program("setjmp"), program("sieve"), program("smap"),
        program("smptest", cpus=2), program("smptest3", "smptest", cpus=3), program("tsc"), program("umip"), *EXITS]

# What the CI names; intel_iommu is left out: it wants a q35 with Intel's IOMMU.
ASKED_OF_TCG = {
    64: [*BOTH, program("ioapic", cpus=4), program("memory"), program("pks"), program("pku"), program("rdpru"),
         program("rmap_chain"), program("syscall", cpu="Opteron_G1,vendor=AuthenticAMD"), program("xsave")],
    32: [*BOTH, program("cmpxchg8b"), program("la57"), program("taskswitch")],
}

FURTHER = {
    64: [program("x2apic", "apic", cpus=2, cpu="qemu64,+x2apic,+tsc-deadline"),
         program("xapic", "apic", cpus=2, cpu="qemu64,-x2apic,+tsc-deadline"),
         program("idt_test"), program("emulator"), program("msr", cpu="max,vendor=GenuineIntel"),
         program("msr64", "msr", cpu="qemu64,vendor=GenuineIntel"),
         program("pcid-enabled", "pcid", cpu="qemu64,+pcid,+invpcid"),
         program("pcid-disabled", "pcid", cpu="qemu64,-pcid,-invpcid"),
         program("pcid-asymmetric", "pcid", cpu="qemu64,-pcid,+invpcid"),
         program("debug"), program("access", "access_test"), program("la57"), program("hypercall"),
         program("tsc_adjust"), program("tscdeadline_latency"), vmexit("vmcall"), program("lam"), program("cet")],
    32: [program("emulator"), program("msr", cpu="max,vendor=GenuineIntel"), program("taskswitch2"),
         program("hypercall"), program("tsc_adjust"), vmexit("vmcall")],
}
