/* Makes the nth write, fsync, truncation or renaming of files in one folder fail: LD_PRELOAD it.
 *
 * FAULT_FOLDER    the folder; everything outside works as ever
 * FAULT_AT        which operation fails, from 1; 0 or none: none
 * FAULT_ERRNO     with which error (a number)
 * FAULT_STAYS     1: all later ones fail too, as on a full disk
 * FAULT_COUNT     a file that receives how many operations there were
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long operations;

static int in_folder(const char *path)
{
    const char *folder = getenv("FAULT_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int of_folder(int descriptor)
{
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return in_folder(path);
}

static int fails(void)
{
    const char *at = getenv("FAULT_AT"), *error = getenv("FAULT_ERRNO"), *stays = getenv("FAULT_STAYS");
    long wanted = at ? atol(at) : 0, now = atomic_fetch_add(&operations, 1) + 1;
    if (!wanted || now < wanted || (now > wanted && !(stays && *stays == '1')))
        return 0;
    errno = error ? atoi(error) : EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size)
{
    return of_folder(fd) && fails() ? -1 : REAL(write)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    return of_folder(fd) && fails() ? -1 : REAL(writev)(fd, pieces, count);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return of_folder(fd) && fails() ? -1 : REAL(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return of_folder(fd) && fails() ? -1 : REAL(pwrite64)(fd, data, size, at);
}

int fsync(int fd)
{
    return of_folder(fd) && fails() ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return of_folder(fd) && fails() ? -1 : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size)
{
    return of_folder(fd) && fails() ? -1 : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return of_folder(fd) && fails() ? -1 : REAL(ftruncate64)(fd, size);
}

int rename(const char *from, const char *to)
{
    return in_folder(to) && fails() ? -1 : REAL(rename)(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return in_folder(to) && fails() ? -1 : REAL(renameat)(from_folder, from, to_folder, to);
}

__attribute__((destructor)) static void tell(void)
{
    const char *file = getenv("FAULT_COUNT");
    char text[32];
    if (!file)
        return;
    int descriptor = syscall(SYS_openat, AT_FDCWD, file, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (descriptor >= 0) {
        int length = snprintf(text, sizeof text, "%ld\n", atomic_load(&operations));
        if (syscall(SYS_write, descriptor, text, length) != length)
            _exit(99);
        syscall(SYS_close, descriptor);
    }
}
