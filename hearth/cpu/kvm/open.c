/*
 * Getting at KVM: opening its device, making a VM, and saying in one line what to do when that fails.
 * Source: the kernel's Documentation/virt/kvm/api.rst, sections 4.1 and 4.2.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/kvm/kvm.h"

int kvm_call(int descriptor, unsigned long request, void *argument)
{
    int result;
    do
        result = ioctl(descriptor, request, argument);
    while (result < 0 && errno == EINTR);
    return result;
}

int kvm_has(int kvm, int capability)
{
    int value = ioctl(kvm, KVM_CHECK_EXTENSION, (long)capability);
    return value < 0 ? 0 : value;
}

static void explain_permission(const char *path, char *error, size_t size)
{
    struct stat status;
    const struct group *group = NULL;
    bool for_group = stat(path, &status) == 0 && (status.st_mode & S_IRGRP) && (status.st_mode & S_IWGRP);

    if (for_group)
        group = getgrgid(status.st_gid);
    if (group)
        snprintf(error, size,
                 "no permission for %s, which is for group %s: sudo usermod -aG %s $USER, then log in again",
                 path, group->gr_name, group->gr_name);
    else
        snprintf(error, size,
                 "no permission for %s, its owner's alone: sudo chgrp kvm %s; sudo chmod 660 %s; "
                 "sudo usermod -aG kvm $USER; log in again",
                 path, path, path);
}

static void explain_open(const char *path, int reason, char *error, size_t size)
{
    switch (reason) {
    case ENOENT:
        snprintf(error, size,
                 "no %s: sudo modprobe kvm_intel (AMD: kvm_amd), if the firmware has virtualization on",
                 path);
        break;
    case EACCES:
    case EPERM: explain_permission(path, error, size); break;
    case ENODEV:
    case ENXIO:
        snprintf(error, size, "nothing behind %s: sudo modprobe kvm_intel (AMD: kvm_amd)", path);
        break;
    case EBUSY: snprintf(error, size, "%s is in use by another hypervisor: stop that one first", path); break;
    default: snprintf(error, size, "cannot open %s: %s", path, strerror(reason));
    }
}

int kvm_open(const char *path, char *error, size_t error_size)
{
    int kvm = open(path, O_RDWR | O_CLOEXEC);
    if (kvm < 0) {
        explain_open(path, errno, error, error_size);
        return -1;
    }

    int version = kvm_call(kvm, KVM_GET_API_VERSION, NULL);
    if (version == KVM_API_VERSION)
        return kvm;
    if (version < 0)
        snprintf(error, error_size, "%s is not KVM", path);
    else
        snprintf(error, error_size, "%s speaks version %d of KVM's interface, not %d", path, version,
                 KVM_API_VERSION);
    close(kvm);
    return -1;
}

int kvm_vm_create(int kvm, char *error, size_t error_size)
{
    int vm = kvm_call(kvm, KVM_CREATE_VM, NULL);
    if (vm >= 0)
        return vm;
    switch (errno) {
    case EBUSY:
        snprintf(error, error_size,
                 "the processor's virtualization is in use by another hypervisor "
                 "(VirtualBox, VMware?): stop that one first");
        break;
    case ENODEV:
    case EOPNOTSUPP:
        snprintf(error, error_size,
                 "KVM finds no virtualization in this processor: switch it on in the firmware");
        break;
    default: snprintf(error, error_size, "KVM makes no VM: %s", strerror(errno));
    }
    return -1;
}

void kvm_backend(const char *modules_path, char *name, size_t size)
{
    DIR *modules = opendir(modules_path);
    snprintf(name, size, "kvm");
    if (!modules)
        return;
    for (struct dirent *entry; (entry = readdir(modules));)
        if (strncmp(entry->d_name, "kvm_", 4) == 0) {
            snprintf(name, size, "%.31s", entry->d_name);
            break;
        }
    closedir(modules);
}
