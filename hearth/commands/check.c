/*
 * hearth check [-q] [--json] [--root DIR]: can this host run guests on KVM, and if not, what mends it. `hearth check cpus` is
 * in check-cpus.c.
 *
 * Everything is read below a root, so that hosts other than this one can be looked at; KVM itself is tried only where that is /.
 * Source: the kernel's Documentation (admin-guide, virt/kvm), SDM volume 3D appendix A and MSR 3Ah, APM volume 2 15.4 (VM_CR).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/check.h"
#include "commands/commands.h"
#include "commands/files.h"
#include "commands/report.h"
#include "core/log.h"
#include "cpu/engine.h"

enum maker { MAKER_NONE, MAKER_INTEL, MAKER_AMD };

struct host {
    enum maker maker; /* whose virtualization the CPU has */
    bool guest;       /* this host is a virtual machine itself */
    char *cpuinfo;
    const char *module; /* "kvm_intel", "kvm_amd", or another back end that is there; NULL */
};

/* ---- the CPU and its firmware */

static void look(struct host *host)
{
    static const char *const modules[] = {"kvm_intel", "kvm_amd", "kvm_pvm"};
    host->cpuinfo = files_read("/proc/cpuinfo");
    const char *info = host->cpuinfo ? host->cpuinfo : "";
    host->maker = word_in(info, "vmx") ? MAKER_INTEL : word_in(info, "svm") ? MAKER_AMD : MAKER_NONE;
    host->guest = word_in(info, "hypervisor");
    for (size_t i = 0; !host->module && i < sizeof(modules) / sizeof(modules[0]); i++)
        if (files_exist("/sys/module/%s", modules[i]))
            host->module = modules[i];
}

static void check_feature(struct report *report, const struct host *host)
{
    const char *what = "for virtualization in the CPU (vmx, svm)";
    if (!host->cpuinfo)
        report_item(report, FINDING_UNKNOWN, what, "/proc/cpuinfo cannot be read", NULL);
    else if (host->maker)
        report_item(report, FINDING_OK, what, host->maker == MAKER_INTEL ? "vmx: Intel VT-x" : "svm: AMD-V",
                    NULL);
    else if (host->module)
        report_item(report, FINDING_NOTE, what, "neither is there, but a KVM back end that needs none", NULL);
    else if (host->guest)
        report_item(report, FINDING_MISSING, what, "this is a virtual machine without nested virtualization",
                    "on its host: modprobe kvm_intel nested=1 (AMD: kvm_amd nested=1), and give this machine "
                    "-cpu host");
    else
        report_item(report, FINDING_MISSING, what, "not there, or switched off by the firmware",
                    "switch VT (AMD: SVM) on in the firmware's page Advanced, CPU Configuration");
}

static bool msr_read(uint32_t number, uint64_t *value)
{
    char path[FILES_PATH];
    int descriptor = open(files_path(path, "/dev/cpu/0/msr"), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    bool got = pread(descriptor, value, sizeof(*value), number) == sizeof(*value);
    close(descriptor);
    return got;
}

/* The modules say so themselves when they find it locked. */
static bool refused_by_module(void)
{
    char path[FILES_PATH], line[1024];
    int log = open(files_path(path, "/dev/kmsg"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    bool refused = false;
    ssize_t got;
    while (log >= 0 && ((got = read(log, line, sizeof(line) - 1)) > 0 || (got < 0 && errno == EPIPE))) {
        line[got > 0 ? got : 0] = '\0';
        refused |= strstr(line, "disabled by bios") || strstr(line, "disabled by BIOS") ||
                   strstr(line, "SVM disabled");
    }
    if (log >= 0)
        close(log);
    return refused;
}

static void check_lock(struct report *report, const struct host *host)
{
    enum { FEATURE_CONTROL = 0x3a, LOCKED = 1, VMX_OUTSIDE_SMX = 4 };
    const uint32_t vm_cr = 0xc0010114, svm_disabled = 1 << 4;
    const char *what = "whether the firmware has it locked";
    const char *mend =
        "switch VT (AMD: SVM) on in the firmware's page Advanced, CPU Configuration, and power-cycle";
    uint64_t value;

    if (!host->maker)
        return;
    if (refused_by_module())
        report_item(report, FINDING_MISSING, what, "the kvm module found it disabled by the firmware", mend);
    else if (!msr_read(host->maker == MAKER_INTEL ? FEATURE_CONTROL : vm_cr, &value))
        report_item(report, host->module ? FINDING_OK : FINDING_UNKNOWN, what,
                    host->module ? "the module has taken it" : "the CPU's register cannot be read",
                    host->module ? NULL : "modprobe msr, and run this as root");
    else if (host->maker == MAKER_INTEL ? (value & LOCKED) && !(value & VMX_OUTSIDE_SMX)
                                        : (value & svm_disabled) != 0)
        report_item(report, FINDING_MISSING, what, "locked off", mend);
    else
        report_item(report, FINDING_OK, what, "not locked off", NULL);
}

/* ---- the kernel */

static char *configuration_read(void)
{
    char path[FILES_PATH], release[128], command[FILES_PATH + 32];
    char *text = NULL;
    size_t length = 0, room = 1 << 20;

    if (files_exist("/proc/config.gz")) {
        snprintf(command, sizeof(command), "gzip -dc '%s' 2>/dev/null", files_path(path, "/proc/config.gz"));
        FILE *pipe = popen(command, "re");
        text = allocate(room + 1);
        while (pipe && length < room && !feof(pipe) && !ferror(pipe))
            length += fread(text + length, 1, room - length, pipe);
        if (pipe)
            pclose(pipe);
        if (length)
            return text;
        free(text);
    }
    if (!files_line(release, sizeof(release), "/proc/sys/kernel/osrelease"))
        return NULL;
    return files_read("/boot/config-%s", release);
}

/* y, m, n ("is not set") or 0: absent. */
static char configuration_value(const char *text, const char *option)
{
    char line[96];
    snprintf(line, sizeof(line), "\nCONFIG_%s=", option);
    const char *at = strstr(text, line);
    if (at)
        return at[strlen(line)];
    snprintf(line, sizeof(line), "\n# CONFIG_%s is not set", option);
    return strstr(text, line) ? 'n' : '\0';
}

/* The document's list; newer kernels have some of them under another name or always. */
static void check_configuration(struct report *report)
{
    static const struct {
        const char *option, *newer;
        bool needed;
    } rows[] = {
        {"VIRTUALIZATION", NULL, true},
        {"KVM", NULL, true},
        {"KVM_INTEL", NULL, false},
        {"KVM_AMD", NULL, false},
        {"HAVE_KVM", "KVM_COMMON", false},
        {"HAVE_KVM_IRQCHIP", NULL, false},
        {"HAVE_KVM_IRQFD", "HAVE_KVM_IRQCHIP", false},
        {"HAVE_KVM_IRQ_ROUTING", NULL, false},
        {"HAVE_KVM_EVENTFD", "KVM_COMMON", false},
        {"KVM_MMIO", NULL, false},
        {"KVM_ASYNC_PF", NULL, false},
        {"HAVE_KVM_MSI", NULL, false},
        {"KVM_VFIO", NULL, false},
        {"KVM_GENERIC_DIRTYLOG_READ_PROTECT", NULL, false},
        {"KVM_COMPAT", NULL, false},
        {"HAVE_KVM_IRQ_BYPASS", NULL, false},
    };
    char *text = configuration_read();
    if (!text) {
        report_item(report, FINDING_UNKNOWN, "the kernel's configuration",
                    "neither /proc/config.gz nor /boot/config-RELEASE can be read", NULL);
        return;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char what[80], found[80];
        char value = configuration_value(text, rows[i].option);
        char newer = !value && rows[i].newer ? configuration_value(text, rows[i].newer) : '\0';
        bool there = value == 'y' || value == 'm' || newer == 'y' || newer == 'm';
        snprintf(what, sizeof(what), "the kernel's option CONFIG_%s", rows[i].option);
        snprintf(found, sizeof(found),
                 newer   ? "now CONFIG_%2$s=%1$c"
                 : value ? "%1$c"
                         : "absent",
                 newer ? newer : value, rows[i].newer);
        report_item(report,
                    there            ? FINDING_OK
                    : rows[i].needed ? FINDING_MISSING
                                     : FINDING_NOTE,
                    what, found,
                    there || !rows[i].needed ? NULL : "a kernel built with it: the distribution's has it");
    }
    free(text);
}

static void check_modules(struct report *report, const struct host *host)
{
    static const char *const names[] = {"kvm", "kvm_intel", "kvm_amd", "kvm_pvm"};
    char *loaded = files_read("/proc/modules");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char what[64], line[32];
        bool there = files_exist("/sys/module/%s", names[i]);
        snprintf(what, sizeof(what), "the module %s", names[i]);
        snprintf(line, sizeof(line), "\n%s ", names[i]);
        bool is_module = loaded && (!strncmp(loaded, line + 1, strlen(line) - 1) || strstr(loaded, line));
        bool wanted =
            i == 0 || (i == 1 && host->maker == MAKER_INTEL) || (i == 2 && host->maker == MAKER_AMD);
        if (there)
            report_item(report, FINDING_OK, what, is_module ? "loaded" : "built in", NULL);
        else if (wanted && (host->maker || i == 0))
            report_item(report, FINDING_MISSING, what, "absent",
                        i == 0   ? "sudo modprobe kvm"
                        : i == 1 ? "sudo modprobe kvm_intel"
                                 : "sudo modprobe kvm_amd");
    }
    free(loaded);
}

static void check_device(struct report *report)
{
    char path[FILES_PATH];
    const char *what = "the device /dev/kvm";
    files_path(path, "/dev/kvm");
    if (access(path, F_OK))
        report_item(report, FINDING_MISSING, what, "not there", "sudo modprobe kvm_intel (AMD: kvm_amd)");
    else if (access(path, R_OK | W_OK))
        report_item(report, FINDING_MISSING, what, "no permission",
                    "sudo usermod -aG kvm $USER, then log in anew; for this session: sudo setfacl -m "
                    "u:$USER:rw /dev/kvm");
    else
        report_item(report, FINDING_OK, what, "can be opened", NULL);
}

/* ---- what makes it fast */

static void check_paging(struct report *report, const struct host *host)
{
    const char *flag = host->maker == MAKER_INTEL ? "ept" : "npt";
    const char *module = host->maker == MAKER_INTEL ? "kvm_intel" : "kvm_amd";
    char what[80], value[16];
    if (!host->maker)
        return;
    snprintf(what, sizeof(what), "for nested page tables (%s)", flag);
    bool has = host->cpuinfo && word_in(host->cpuinfo, flag);
    if (!files_line(value, sizeof(value), "/sys/module/%s/parameters/%s", module, flag))
        report_item(report, has ? FINDING_OK : FINDING_WARNING, what,
                    has ? "the CPU has it; the module is not loaded" : "the CPU has none: guests run slower",
                    NULL);
    else if (value[0] == 'Y' || value[0] == '1')
        report_item(report, FINDING_OK, what, "on", NULL);
    else
        report_item(report, FINDING_WARNING, what,
                    has ? "switched off" : "the CPU has none: guests run slower",
                    has ? "sudo hearth host ept on" : NULL);
}

/* A number behind "Word:" in /proc/meminfo. */
static unsigned long meminfo(const char *text, const char *word)
{
    const char *at = text ? strstr(text, word) : NULL;
    return at ? strtoul(at + strlen(word), NULL, 10) : 0;
}

static void check_pages(struct report *report)
{
    char *text = files_read("/proc/meminfo"), *mounts = files_read("/proc/mounts");
    char found[160], transparent[80] = "";
    unsigned long total = meminfo(text, "HugePages_Total:"), unused = meminfo(text, "HugePages_Free:");
    bool mounted = mounts && strstr(mounts, " hugetlbfs ");
    snprintf(found, sizeof(found), "%lu of %lu kB, %lu free, hugetlbfs %s", total,
             meminfo(text, "Hugepagesize:"), unused, mounted ? "mounted" : "not mounted");
    report_item(report, FINDING_NOTE, "for reserved huge pages", found,
                total ? NULL : "sudo hearth host hugepages 1024");
    if (files_line(transparent, sizeof(transparent), "/sys/kernel/mm/transparent_hugepage/enabled"))
        report_item(report, strstr(transparent, "[never]") ? FINDING_WARNING : FINDING_OK,
                    "for transparent huge pages", transparent,
                    strstr(transparent, "[never]")
                        ? "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
                        : NULL);
    free(text);
    free(mounts);
}

static void check_tun(struct report *report)
{
    bool there = files_exist("/dev/net/tun");
    report_item(report, FINDING_NOTE, "for tap networks (/dev/net/tun)", there ? "there" : "not there",
                there ? NULL : "sudo modprobe tun; the user network needs nothing");
}

static void check_surroundings(struct report *report, const struct host *host)
{
    char version[256] = "", product[80] = "";
    bool wsl = files_line(version, sizeof(version), "/proc/version") &&
               (strstr(version, "microsoft") || strstr(version, "Microsoft"));
    files_line(product, sizeof(product), "/sys/class/dmi/id/product_name");
    if (wsl && !host->maker)
        report_item(
            report, FINDING_WARNING, "what this host is", "WSL2",
            "in %UserProfile%\\.wslconfig, under [wsl2]: nestedVirtualization=true; then wsl --shutdown");
    else
        report_item(report, FINDING_NOTE, "what this host is",
                    wsl           ? "WSL2"
                    : host->guest ? (*product ? product : "a virtual machine")
                                  : "not a virtual machine",
                    NULL);
}

/* ---- does it really run guests? */

static void check_by_trial(struct report *report)
{
    static const char *const names[KVM_MODES] = {"real mode", "protected mode", "32-bit paging", "long mode"};
    struct kvm_verdict verdict;
    char what[64], found[160];

    if (*files_root || access("/dev/kvm", R_OK | W_OK)) {
        report_item(report, FINDING_NOTE, "KVM by running tiny guests", "not tried", NULL);
        return;
    }
    kvm_judge(&verdict, true);
    for (int i = 0; i < KVM_MODES; i++) {
        snprintf(what, sizeof(what), "KVM by a tiny guest in %s", names[i]);
        if (verdict.mode[i].ran)
            snprintf(found, sizeof(found), "runs, %.1f ns an instruction", verdict.mode[i].nanoseconds);
        else
            snprintf(found, sizeof(found), "%s",
                     verdict.mode[i].why[0] ? verdict.mode[i].why : "not reached");
        report_item(report, verdict.mode[i].ran ? FINDING_OK : FINDING_MISSING, what, found, NULL);
    }
    report_item(report, verdict.usable ? FINDING_OK : FINDING_MISSING, "which engine -accel auto takes",
                verdict.reason, verdict.usable ? NULL : "guests run on the software CPU");
}

static int usage(void)
{
    fputs("usage: hearth check [-q] [--json] [--root DIR]        can guests run on KVM here?\n"
          "       hearth check cpus [--root DIR]                 the host's CPUs: isolation, nodes, "
          "siblings, load\n"
          "-q leaves out what is well; status 0 if guests run on KVM, 1 if not (they run on the software "
          "CPU).\n",
          stderr);
    return 2;
}

int command_check(int argc, char **argv)
{
    struct report report = {0};
    struct host host = {0};
    bool cpus = false;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "cpus") && i == 1)
            cpus = true;
        else if (!strcmp(argv[i], "-q"))
            report.quiet = true;
        else if (!strcmp(argv[i], "--json"))
            report.json = true;
        else if (!strcmp(argv[i], "--root") && i + 1 < argc)
            files_root = argv[++i];
        else
            return usage();
    }
    if (cpus)
        return check_cpus();
    look(&host);
    report_begin(&report);
    check_surroundings(&report, &host);
    check_feature(&report, &host);
    check_lock(&report, &host);
    check_configuration(&report);
    check_modules(&report, &host);
    check_device(&report);
    check_paging(&report, &host);
    check_pages(&report);
    check_tun(&report);
    check_by_trial(&report);
    free(host.cpuinfo);
    return report_end(&report);
}
