/*
 * hearth host: prepares this host. Each says what it will do, does it, reads it back and reports.
 *
 *   hugepages N [--size 2M|1G] [--node N]   mounts hugetlbfs, reserves pages
 *   ept on|off                              nested page tables (AMD: npt), by loading the module anew
 *   isolate CPUS [--apply]                  the kernel's command line for CPUs that only pinned threads use
 *
 * Source: the kernel's Documentation/admin-guide/mm/hugetlbpage.rst, kernel-parameters.txt (isolcpus, nohz_full, rcu_nocbs).
 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/files.h"
#include "core/log.h"
#include "core/settings.h"

static int usage(void)
{
    fputs("usage: hearth host hugepages N [--size 2M|1G] [--node N]\n"
          "       hearth host ept on|off          (npt on AMD)\n"
          "       hearth host isolate CPUS [--apply]\n",
          stderr);
    return 2;
}

static int fail(const char *what)
{
    warn("host: %s: %s%s", what, strerror(errno),
         errno == EACCES || errno == EPERM ? "; run this as root" : "");
    return 1;
}

static int refuse(const char *what)
{
    warn("host: %s", what);
    return 1;
}

/* ---- huge pages */

static bool hugetlbfs_mount(const char *folder)
{
    char *mounts = files_read("/proc/mounts");
    bool mounted = mounts && strstr(mounts, " hugetlbfs ");
    free(mounts);
    if (mounted)
        return true;
    printf("Mounting hugetlbfs at %s\n", folder);
    if (mkdir(folder, 0755) && errno != EEXIST)
        return false;
    return mount("hugetlbfs", folder, "hugetlbfs", 0, NULL) == 0;
}

/* How many pages of this size there are, on a node or (node < 0) in all; -1 with errno. */
static long pages_reserved(unsigned long kilobytes, int node)
{
    char line[32];
    bool read = node < 0
                    ? files_line(line, sizeof(line), "/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages",
                                 kilobytes)
                    : files_line(line, sizeof(line),
                                 "/sys/devices/system/node/node%d/hugepages/hugepages-%lukB/nr_hugepages",
                                 node, kilobytes);
    return read ? strtol(line, NULL, 10) : -1;
}

static bool pages_reserve(unsigned long kilobytes, int node, const char *count)
{
    return node < 0
               ? files_write(count, "/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages", kilobytes)
               : files_write(count, "/sys/devices/system/node/node%d/hugepages/hugepages-%lukB/nr_hugepages",
                             node, kilobytes);
}

static int hugepages(const char *count, unsigned long kilobytes, int node)
{
    char *end, before[32];
    long asked = strtol(count, &end, 10), was = pages_reserved(kilobytes, node);
    if (!isdigit((unsigned char)*count) || *end)
        return usage();
    if (was < 0) {
        warn("host: this kernel has no huge pages of %lu kB%s", kilobytes, node < 0 ? "" : " on that node");
        return 1;
    }
    snprintf(before, sizeof(before), "%ld", was);
    if (asked && !hugetlbfs_mount("/dev/hugepages"))
        return fail("mounting hugetlbfs at /dev/hugepages");
    printf("Reserving %ld huge pages of %lu kB (there were %s)\n", asked, kilobytes, before);
    if (!pages_reserve(kilobytes, node, count))
        return fail("reserving huge pages");
    long got = pages_reserved(kilobytes, node);
    for (int i = 0; node < 0; i++) {
        long here = pages_reserved(kilobytes, i);
        if (here < 0)
            break;
        printf("node %d: %ld\n", i, here);
    }
    printf("Got %ld of %ld%s\n", got, asked,
           got < asked
               ? ": memory has no more of that size in one piece; ask right after booting, or for less"
               : "");
    return got < asked;
}

static int command_hugepages(int argc, char **argv)
{
    uint64_t size = 2 << 20;
    int node = -1;
    if (argc < 2)
        return usage();
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "--size") && i + 1 < argc) {
            if (!size_parse(argv[++i], 1, &size) || size < 1024)
                return usage();
        } else if (!strcmp(argv[i], "--node") && i + 1 < argc && isdigit((unsigned char)argv[i + 1][0])) {
            node = atoi(argv[++i]);
        } else {
            return usage();
        }
    }
    return hugepages(argv[1], (unsigned long)(size / 1024), node);
}

/* ---- nested page tables */

/* A command of at most three words, found on the PATH. */
static bool run(const char *first, const char *second, const char *third)
{
    int status;
    printf("%s%s%s%s%s\n", first, second ? " " : "", second ? second : "", third ? " " : "",
           third ? third : "");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execlp(first, first, second, third, (char *)NULL);
        fprintf(stderr, "%s: %s\n", first, strerror(errno));
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int nested_paging(bool on)
{
    bool intel = files_exist("/sys/module/kvm_intel"), amd = files_exist("/sys/module/kvm_amd");
    const char *module = intel ? "kvm_intel" : "kvm_amd", *parameter = intel ? "ept" : "npt";
    char value[16], setting[32];

    if (!intel && !amd) {
        warn("host: neither kvm_intel nor kvm_amd is loaded: sudo modprobe kvm_intel (AMD: kvm_amd)");
        return 1;
    }
    if (!files_exist("/sys/module/%s/refcnt", module)) {
        warn("host: %s is built into this kernel: put %s.%s=%d on its command line", module, module,
             parameter, on);
        return 1;
    }
    if (files_line(value, sizeof(value), "/sys/module/%s/refcnt", module) && strcmp(value, "0")) {
        warn("host: %s is in use: a virtual machine runs. End it first; this one was left alone", module);
        return 1;
    }
    snprintf(setting, sizeof(setting), "%s=%d", parameter, on);
    if (!run("modprobe", "-r", module))
        return refuse("the module could not be unloaded");
    if (!run("modprobe", module, setting)) {
        run("modprobe", module, NULL); /* as it was, rather than nothing */
        return refuse("the module could not be loaded with that");
    }
    if (!files_line(value, sizeof(value), "/sys/module/%s/parameters/%s", module, parameter))
        return fail("reading it back");
    bool is_on = value[0] == 'Y' || value[0] == '1';
    printf("%s is %s%s\n", parameter, is_on ? "on" : "off", is_on == on ? "" : ": this processor has none");
    return is_on != on;
}

static int command_ept(int argc, char **argv)
{
    if (argc != 2 || (strcmp(argv[1], "on") && strcmp(argv[1], "off")))
        return usage();
    return nested_paging(!strcmp(argv[1], "on"));
}

/* ---- CPUs for pinned threads alone */

static int grub_apply(const char *words)
{
    const char *path = "/etc/default/grub.d/hearth.cfg";
    char text[512];
    snprintf(text, sizeof(text), "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX %s\"\n", words);
    FILE *file = mkdir("/etc/default/grub.d", 0755) && errno != EEXIST ? NULL : fopen(path, "we");
    if (!file || fputs(text, file) < 0 || fclose(file))
        return fail(path);
    printf("Wrote %s\n", path);
    if (!run("update-grub", NULL, NULL))
        return refuse("update-grub failed; the file that was written is there");
    printf("Done; it holds from the next boot on. `hearth check cpus` shows it.\n");
    return 0;
}

static int isolate(const char *list, bool apply)
{
    char words[256];
    if (!isdigit((unsigned char)*list) || list[strspn(list, "0123456789,-")] || strlen(list) > 60) {
        warn("host: isolate: '%s' is no list of CPUs; 2-3 and 1,3 are", list);
        return 1;
    }
    if (*list == '0' && !isdigit((unsigned char)list[1])) {
        warn("host: isolate: CPU 0 does the host's own work; leave it out");
        return 1;
    }
    snprintf(words, sizeof(words), "isolcpus=%s nohz_full=%s rcu_nocbs=%s", list, list, list);
    if (files_exist("/etc/default/grub")) {
        printf("The boot loader is GRUB. In /etc/default/grub.d/hearth.cfg:\n"
               "    GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX %s\"\nthen: sudo update-grub, and boot anew.\n",
               words);
        return apply ? grub_apply(words) : 0;
    }
    if (files_exist("/etc/kernel/cmdline"))
        printf("The boot loader is systemd-boot. Append to the line in /etc/kernel/cmdline:\n    %s\n"
               "then: sudo kernel-install add $(uname -r) /boot/vmlinuz-$(uname -r), and boot anew.\n",
               words);
    else
        printf("No boot loader was recognized. Append to the kernel's command line:\n    %s\n", words);
    if (apply)
        warn("host: isolate: --apply is done for GRUB alone; nothing was changed");
    return apply;
}

static int command_isolate(int argc, char **argv)
{
    bool apply = argc == 3 && !strcmp(argv[2], "--apply");
    if (argc != 2 && !apply)
        return usage();
    return isolate(argv[1], apply);
}

int command_host(int argc, char **argv)
{
    /* For tests: another folder than /. */
    if (argc > 2 && !strcmp(argv[1], "--root")) {
        files_root = argv[2];
        argc -= 2;
        argv += 2;
    }
    if (argc > 1 && !strcmp(argv[1], "hugepages"))
        return command_hugepages(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "ept"))
        return command_ept(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "isolate"))
        return command_isolate(argc - 1, argv + 1);
    return usage();
}
