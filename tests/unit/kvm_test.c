/*
 * What of the KVM engine can be tested without a KVM that is of use: why it cannot be had, and that the verdict is the
 * host's true one. The engine itself is tested in the lab (tests/lab).
 */
#include "unit/unit.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu/kvm/kvm.h"

static char folder[] = "/tmp/kvm-test-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void refused_with(const char *path, const char *part)
{
    struct kvm_verdict verdict;
    char error[256] = "";
    assert_int_equal(kvm_open(path, error, sizeof(error)), -1);
    assert_non_null(strstr(error, part));
    assert_null(strchr(error, '\n'));
    kvm_judge_device(path, &verdict, false);
    assert_false(verdict.usable);
    assert_non_null(strstr(verdict.reason, part));
}

static void an_absent_device_names_the_module(void **state)
{
    (void)state;
    refused_with(in_folder("none"), "none: sudo modprobe kvm_intel");
}

static void a_folder_is_no_device(void **state)
{
    (void)state;
    refused_with(folder, strerror(EISDIR));
}

static void another_file_is_not_kvm(void **state)
{
    (void)state;
    FILE *file = fopen(in_folder("file"), "w");
    fclose(file);
    refused_with(in_folder("file"), "is not KVM");
    refused_with("/dev/null", "is not KVM");
}

/* As an ordinary user; root may open anything, so it becomes nobody in a process of its own. */
static int permission_refused(const char *path, const char *part)
{
    pid_t child = fork();
    if (child == 0) {
        char error[256] = "";
        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
                               setresuid(65534, 65534, 65534) < 0))
            _exit(2);
        int refused = kvm_open(path, error, sizeof(error)) < 0 && strstr(error, part) && !strchr(error, '\n');
        if (!refused)
            fprintf(stderr, "# %s\n", error);
        _exit(refused ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

static void permission_names_group_and_command(void **state)
{
    (void)state;
    const char *path = in_folder("closed");
    FILE *file = fopen(path, "w");
    fclose(file);
    chmod(folder, 0755);
    if (chown(path, 0, 0) < 0)
        skip();
    chmod(path, 0660);
    assert_int_equal(permission_refused(path, "group root: sudo usermod -aG root $USER"), 0);
    chmod(path, 0600);
    assert_int_equal(permission_refused(path, "sudo usermod -aG kvm $USER"), 0);
}

static void the_backend_is_read_from_the_modules(void **state)
{
    (void)state;
    char name[32];
    kvm_backend(in_folder("no-modules"), name, sizeof(name));
    assert_string_equal(name, "kvm");
    mkdir(in_folder("modules"), 0755);
    mkdir(in_folder("modules/kvm"), 0755);
    mkdir(in_folder("modules/kvm_amd"), 0755);
    kvm_backend(in_folder("modules"), name, sizeof(name));
    assert_string_equal(name, "kvm_amd");
}

/* A verdict without a KVM of use names a mode or a reason; with one, every mode has run. */
static void the_verdict_is_consistent(void **state)
{
    (void)state;
    struct kvm_verdict verdict;
    char backend[32];
    kvm_judge(&verdict, true);
    kvm_backend("/sys/module", backend, sizeof(backend));
    print_message("# this host: %s\n", verdict.reason);
    assert_int_not_equal(verdict.reason[0], 0);
    bool all = true;
    for (unsigned mode = 0; mode < KVM_MODES; mode++) {
        all = all && verdict.mode[mode].ran;
        assert_true(verdict.mode[mode].ran || !verdict.usable);
    }
    assert_true(all || !verdict.usable);
    if (access("/dev/kvm", R_OK | W_OK) == 0 && strcmp(backend, "kvm_pvm") == 0) {
        assert_false(verdict.usable);
        assert_false(verdict.mode[KVM_PAGED_32].ran);
        assert_non_null(strstr(verdict.reason, "kvm_pvm"));
    }
}

static void the_verdict_stops_at_the_first_failure(void **state)
{
    (void)state;
    struct kvm_verdict verdict;
    kvm_judge(&verdict, false);
    bool failed = false;
    for (unsigned mode = 0; mode < KVM_MODES; mode++) {
        assert_false(failed && verdict.mode[mode].ran);
        failed = failed || !verdict.mode[mode].ran || verdict.mode[mode].nanoseconds > 20;
    }
    assert_int_equal(failed, !verdict.usable);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[160];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_absent_device_names_the_module),
        cmocka_unit_test(a_folder_is_no_device),
        cmocka_unit_test(another_file_is_not_kvm),
        cmocka_unit_test(permission_names_group_and_command),
        cmocka_unit_test(the_backend_is_read_from_the_modules),
        cmocka_unit_test(the_verdict_is_consistent),
        cmocka_unit_test(the_verdict_stops_at_the_first_failure),
    };
    return cmocka_run_group_tests_name("kvm", tests, make_folder, remove_folder);
}
