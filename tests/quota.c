/* Stands for a quota that is used up: files take 30,000 bytes, then EDQUOT. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <sys/uio.h>
static long left = 30000;
static int over(int fd, long n) {
    struct stat about;
    if (fd <= 2 || fstat(fd, &about) || !S_ISREG(about.st_mode)) return 0;
    left -= n;
    return left < 0;
}
#define ORIGINAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))
ssize_t write(int fd, const void *data, size_t n) {
    if (over(fd, n)) { errno = EDQUOT; return -1; }
    return ORIGINAL(write)(fd, data, n);
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
    if (over(fd, n)) { errno = EDQUOT; return -1; }
    return ORIGINAL(pwrite)(fd, data, n, at);
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    if (over(fd, n)) { errno = EDQUOT; return -1; }
    return ORIGINAL(pwrite64)(fd, data, n, at);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (over(fd, parts[0].iov_len)) { errno = EDQUOT; return -1; }
    return ORIGINAL(writev)(fd, parts, count);
}
