// Preloaded: a file system without hard links (exFAT, SMB, many FUSE mounts), without locks of the kernel where NO_FLOCK
// is set, and another host's name where HOST_NAME is.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int link(const char* from, const char* to) {
  (void)from, (void)to;
  errno = EPERM;
  return -1;
}

int linkat(int a, const char* from, int b, const char* to, int flags) {
  (void)a, (void)b, (void)flags;
  return link(from, to);
}

int flock(int fd, int operation);
int flock(int fd, int operation) {
  static int (*real)(int, int);
  extern void* dlsym(void*, const char*);
  if (getenv("NO_FLOCK")) {
    errno = EOPNOTSUPP;
    return -1;
  }
  if (!real) *(void**)&real = dlsym((void*)-1L, "flock");
  return real(fd, operation);
}

int gethostname(char* name, size_t size) {
  const char* given = getenv("HOST_NAME");
  strncpy(name, given ? given : "here", size);
  return 0;
}
