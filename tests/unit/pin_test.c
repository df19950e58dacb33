/* Plans for vCPUs, on /sys trees made for the purpose; and for real with this process's own threads. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/pin.h"

enum { VCPUS = 8 };

static char folder[] = "/tmp/pin_test.XXXXXX";
static struct host_cpus host;
static int plan[VCPUS];
static char text[600];

/* A file of the tree below devices/system/cpu, with its folders. */
static void file_write(const char *name, const char *line)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/devices/system/cpu/%s", folder, name);
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    if (!line) {
        assert_int_equal(mkdir(path, 0755), 0);
        return;
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", line);
    fclose(file);
}

static void tree_remove(void)
{
    char command[100];
    snprintf(command, sizeof(command), "rm -rf %s/devices", folder);
    assert_int_equal(system(command), 0);
}

/* 8 CPUs on 2 nodes: 0-3 and 4-7; siblings are n and n + 2. */
static void tree_make(const char *isolated, const char *online)
{
    tree_remove();
    file_write("present", "0-7");
    file_write("online", online);
    file_write("isolated", isolated);
    for (int cpu = 0; cpu < 8; cpu++) {
        char name[100], line[100];
        int first = cpu / 4 * 4 + cpu % 2;
        snprintf(name, sizeof(name), "cpu%d/topology/thread_siblings_list", cpu);
        snprintf(line, sizeof(line), "%d,%d", first, first + 2);
        file_write(name, line);
        snprintf(name, sizeof(name), "cpu%d/node%d", cpu, cpu / 4);
        file_write(name, NULL);
    }
}

static void tree_read(const char *allowed, const char *affinity)
{
    cpu_set_t allowed_set, affinity_set;
    assert_true(cpu_list_parse(allowed, &allowed_set));
    assert_true(cpu_list_parse(affinity, &affinity_set));
    host_cpus_read(&host, folder, &allowed_set, &affinity_set);
}

static void plans(const char *wanted, unsigned vcpus, const char *expected)
{
    char found[100] = "";
    if (!pin_plan(&host, wanted, vcpus, plan, text, sizeof(text)))
        fail_msg("%s: %s", wanted, text);
    for (unsigned vcpu = 0; vcpu < vcpus; vcpu++)
        snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%d", vcpu ? " " : "", plan[vcpu]);
    assert_string_equal(found, expected);
}

static void refuses(const char *wanted, unsigned vcpus, const char *words)
{
    assert_false(pin_plan(&host, wanted, vcpus, plan, text, sizeof(text)));
    assert_string_equal(text, words);
}

static void lists(void **state)
{
    static const char *const good[] = {"", "0", "0-3", "0-1,3", "5,7-9", "1023"};
    static const char *const bad[] = {"-1",   "1-",  "3-1",  "a",
                                      "1,,2", "1 2", "1024", "0-99999999999999999999"};
    cpu_set_t set;
    char printed[100];
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(cpu_list_parse(good[i], &set));
        cpu_list_print(&set, printed, sizeof(printed));
        assert_string_equal(printed, good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (cpu_list_parse(bad[i], &set))
            fail_msg("'%s' was taken", bad[i]);
    memset(&set, 0x55, sizeof(set));
    cpu_list_print(&set, printed, 9);
    assert_int_equal(strlen(printed), 8);
}

static void trees_are_read(void **state)
{
    (void)state;
    tree_make("2,3", "0-6");
    tree_read("0-5", "0-1,4-5");
    assert_int_equal(host.count, 8);
    assert_true(host.cpu[2].isolated);
    assert_false(host.cpu[1].isolated);
    assert_false(host.cpu[7].online);
    assert_false(host.cpu[6].allowed);
    assert_int_equal(host.cpu[3].core, 1);
    assert_int_equal(host.cpu[6].core, 4);
    assert_int_equal(host.cpu[5].node, 1);
    assert_true(host.cpu[3].offered); /* only isolated ones are missing in the affinity */
    tree_read("0-5", "0-1,4");
    assert_false(host.cpu[3].offered); /* taskset */
}

static void by_hand(void **state)
{
    (void)state;
    tree_make("2-3", "0-6");
    tree_read("0-5", "0-1,4-5");
    plans("0=2,1=3", 2, "2 3");
    assert_string_equal(text, "");
    plans("1=0", 3, "-1 0 -1");
    plans("0=1,1=1", 2, "1 1");
    assert_string_equal(text, "vCPUs 0 and 1 share host CPU 1 and take turns");
    refuses("0=2,1=2", 2,
            "vCPUs 0 and 1 both on host CPU 2, which is isolated: nothing would balance them, so that one "
            "starves "
            "while the other waits for it; give each its own");
    refuses("0=8", 2, "vCPU 0: there is no host CPU 8 running; there are 0-6");
    refuses("0=7", 2, "vCPU 0: there is no host CPU 7 running; there are 0-6");
    refuses("0=6", 2, "vCPU 0: a cpuset keeps this process off host CPU 6; it may use 0-5");
    refuses("2=1", 2, "there is no vCPU 2; the last is 1");
    refuses("0=1,0=2", 2, "vCPU 0 is given twice");
    refuses("0=18446744073709551616", 2,
            "vCPU 0: there is no host CPU 18446744073709551615 running; there are 0-6");
    for (const char *const *bad =
             (const char *const[]){"", "0", "0=", "=1", "0=1,", "0=1;1=2", "x=1", "0:1", NULL};
         *bad; bad++) {
        assert_false(pin_plan(&host, *bad, 2, plan, text, sizeof(text)));
        assert_non_null(strstr(text, "should be VCPU=HOSTCPU"));
    }
}

static void by_itself(void **state)
{
    (void)state;
    tree_make("", "0-7");
    tree_read("0-7", "0-7");
    plans("auto", 2, "0 2"); /* siblings */
    plans("auto", 4, "0 2 1 3");
    plans("auto", 6, "0 2 1 3 4 6");
    tree_make("5-7", "0-7");
    tree_read("0-7", "0-4");
    plans("auto", 2, "5 7"); /* the isolated first, siblings side by side */
    plans("auto", 3, "5 7 6");
    plans("auto", 4, "5 7 6 4"); /* one node has room for all */
    plans("auto", 5, "5 7 6 0 2");
    tree_read("0-7", "1,3"); /* under taskset */
    plans("auto", 2, "1 3");
    plans("auto", 3, "1 3 -1");
    assert_string_equal(text, "3 vCPUs and 2 host CPUs to use: those from 2 on are not pinned");
    tree_make("1,5", "0-7");
    tree_read("0-7", "0,2-4,6-7");
    plans("auto", 1, "1");
    plans("auto", 2, "1 5");
}

/* Without /sys one knows what one may use, and no more. */
static void no_tree(void **state)
{
    (void)state;
    tree_remove();
    tree_read("0-1", "0-1");
    assert_int_equal(host.count, 2);
    plans("auto", 2, "0 1");
    refuses("0=2", 1, "vCPU 0: there is no host CPU 2 running; there are 0-1");
}

static void for_real(void **state)
{
    cpu_set_t allowed, affinity, one, after;
    struct thread_use use;
    long id = syscall(SYS_gettid);
    (void)state;
    host_cpus_here(&allowed, &affinity);
    assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
    assert_true(CPU_EQUAL(&after, &affinity)); /* as it was */
    host_cpus_read(&host, "/sys", &allowed, &affinity);
    if (!pin_plan(&host, "auto", 1, plan, text, sizeof(text)) || plan[0] < 0)
        fail_msg("no host CPU to run on: %s", text);
    CPU_ZERO(&one);
    CPU_SET(plan[0], &one);
    assert_true(thread_pin(id, &one));
    assert_true(thread_use_read(id, &use));
    assert_true(CPU_EQUAL(&use.allowed, &one));
    assert_int_equal(use.cpu, plan[0]);
    assert_true(use.run >= 0);
    assert_true(thread_pin(id, &affinity));
    assert_false(thread_use_read(0x7fffffff, &use));
    CPU_ZERO(&one);
    assert_false(thread_pin(id, &one));
}

static int folder_make(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
    (void)state;
    tree_remove();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),     cmocka_unit_test(trees_are_read), cmocka_unit_test(by_hand),
        cmocka_unit_test(by_itself), cmocka_unit_test(no_tree),        cmocka_unit_test(for_real),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
