// Preloaded into ranks: once the file that NO_MEMORY names is there, rank 1 removes it, and the next object that its addon allocates on a thread
// beside the first is refused, as where the system has no memory left. It takes the place of C++'s operator new.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_addons(const void* at) {
  Dl_info info;
  return dladdr(at, &info) && info.dli_fname && strstr(info.dli_fname, "lowrank.node") != NULL;
}

static int is_refused(const void* caller) {
  const char *const file = getenv("NO_MEMORY"), *const rank = getenv("OMPI_COMM_WORLD_RANK");
  return file && rank && strcmp(rank, "1") == 0 && syscall(SYS_gettid) != getpid() && is_addons(caller) && access(file, F_OK) == 0 && unlink(file) == 0;
}

// operator new(unsigned long)
void* _Znwm(size_t bytes) {
  void* const memory = is_refused(__builtin_return_address(0)) ? NULL : malloc(bytes ? bytes : 1);
  if (!memory) ((void (*)(void))dlsym(RTLD_DEFAULT, "_ZSt17__throw_bad_allocv"))();
  return memory;
}
