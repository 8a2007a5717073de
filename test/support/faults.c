// Preloaded into a process: counts what changes files under a folder, and lets one such call fail, or all from it on.
//   FAULT_PREFIX   folder whose files count
//   FAULT_CONTROL  file of three int64: number of the call that fails (0 none), errno, whether all later ones fail too;
//                  a fourth is the number of calls so far. It is mapped, so that both sides see each other's changes.
//   FAULT_SHORT    writes take one byte less than they are given, where they are given more than one
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile int64_t* control;
static const char* prefix;
static int shorten;

__attribute__((constructor)) static void begin(void) {
  prefix = getenv("FAULT_PREFIX");
  shorten = getenv("FAULT_SHORT") != NULL;
  const char* file = getenv("FAULT_CONTROL");
  const int fd = file && prefix ? open(file, O_RDWR | O_CLOEXEC) : -1;
  void* map = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map != MAP_FAILED) control = map;
}

static int is_ours(const char* path) { return control && path && strncmp(path, prefix, strlen(prefix)) == 0; }

// Whether this call is to fail; errno is set.
static int fails_path(const char* path) {
  if (!is_ours(path)) return 0;
  const int64_t n = __atomic_add_fetch(&control[3], 1, __ATOMIC_SEQ_CST);
  const int64_t at = control[0];
  if (at == 0 || (control[2] ? n < at : n != at)) return 0;
  errno = (int)control[1];
  return 1;
}

static int path_of(int fd, char path[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, PATH_MAX - 1);
  path[n < 0 ? 0 : n] = 0;
  return n >= 0;
}

static int fails_fd(int fd) {
  char path[PATH_MAX];
  return control && path_of(fd, path) && fails_path(path);
}

#define REAL(name) \
  static __typeof__(name)* real; \
  if (!real) real = (__typeof__(name)*)dlsym(RTLD_NEXT, #name)

static int writes(int flags) { return (flags & (O_CREAT | O_TRUNC)) != 0; }

#define OPEN(name) \
  int name(const char* path, int flags, ...) { \
    REAL(name); \
    va_list list; \
    va_start(list, flags); \
    const mode_t mode = va_arg(list, mode_t); \
    va_end(list); \
    return writes(flags) && fails_path(path) ? -1 : real(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

// How much of a write is taken: all, where it is not to the folder's files.
static size_t taken(int fd, size_t n) {
  char path[PATH_MAX];
  return shorten && n > 1 && path_of(fd, path) && is_ours(path) ? n - 1 : n;
}

ssize_t write(int fd, const void* data, size_t n) {
  REAL(write);
  return fails_fd(fd) ? -1 : real(fd, data, taken(fd, n));
}
ssize_t pwrite64(int fd, const void* data, size_t n, off64_t at) {
  REAL(pwrite64);
  return fails_fd(fd) ? -1 : real(fd, data, taken(fd, n), at);
}
ssize_t pwrite(int fd, const void* data, size_t n, off_t at) {
  REAL(pwrite);
  return fails_fd(fd) ? -1 : real(fd, data, taken(fd, n), at);
}
ssize_t writev(int fd, const struct iovec* data, int n) {
  REAL(writev);
  return fails_fd(fd) ? -1 : real(fd, data, n);
}
int fsync(int fd) {
  REAL(fsync);
  return fails_fd(fd) ? -1 : real(fd);
}
int fdatasync(int fd) {
  REAL(fdatasync);
  return fails_fd(fd) ? -1 : real(fd);
}
int rename(const char* from, const char* to) {
  REAL(rename);
  return fails_path(to) ? -1 : real(from, to);
}
int link(const char* from, const char* to) {
  REAL(link);
  return fails_path(to) ? -1 : real(from, to);
}
int mkdir(const char* path, mode_t mode) {
  REAL(mkdir);
  return fails_path(path) ? -1 : real(path, mode);
}
int unlink(const char* path) {
  REAL(unlink);
  return fails_path(path) ? -1 : real(path);
}
int rmdir(const char* path) {
  REAL(rmdir);
  return fails_path(path) ? -1 : real(path);
}
ssize_t sendfile64(int out, int in, off64_t* at, size_t n);
ssize_t sendfile64(int out, int in, off64_t* at, size_t n) {
  REAL(sendfile64);
  return fails_fd(out) ? -1 : real(out, in, at, n);
}
ssize_t sendfile(int out, int in, off_t* at, size_t n);
ssize_t sendfile(int out, int in, off_t* at, size_t n) {
  REAL(sendfile);
  return fails_fd(out) ? -1 : real(out, in, at, n);
}
ssize_t copy_file_range(int in, off64_t* at, int out, off64_t* to, size_t n, unsigned flags) {
  REAL(copy_file_range);
  return fails_fd(out) ? -1 : real(in, at, out, to, n, flags);
}
long syscall(long number, ...) {
  REAL(syscall);
  va_list list;
  va_start(list, number);
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_copy_file_range && fails_fd((int)a[2])) return -1;
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
