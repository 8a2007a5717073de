// Lets an addon that was linked on a newer Linux load on glibc 2.28: linked into the prebuilt addon only (docs/packaging.md). A
// linker takes the newest version of each symbol. This file defines the symbols as jumps to the older versions of the same
// functions, and small substitutes where there is no older one. scripts/check-glibc.mjs fails when a symbol is missing here.
#include <link.h>
#include <sys/stat.h>

#include <cstdint>

// A jump to the function's old version. The symbol itself is defined here, so the whole addon takes it.
#define LOWRANK_OLD_VERSION(name, version)               \
  asm(".pushsection .text." #name ",\"ax\",@progbits\n"  \
      ".symver lowrank_old_" #name "," #name "@" version "\n" \
      ".globl " #name "\n"                               \
      ".hidden " #name "\n"                              \
      ".type " #name ",@function\n" #name ":\n"          \
      "  endbr64\n"                                      \
      "  jmp *lowrank_old_" #name "@GOTPCREL(%rip)\n"    \
      ".size " #name ",.-" #name "\n"                    \
      ".popsection\n")

// The same code since 2.28, without its own handling of errno since 2.29: values are alike to the last bit.
LOWRANK_OLD_VERSION(exp, "GLIBC_2.2.5");
LOWRANK_OLD_VERSION(log, "GLIBC_2.2.5");
LOWRANK_OLD_VERSION(pow, "GLIBC_2.2.5");
// It was in libpthread until 2.34.
LOWRANK_OLD_VERSION(pthread_create, "GLIBC_2.2.5");
LOWRANK_OLD_VERSION(pthread_join, "GLIBC_2.2.5");
LOWRANK_OLD_VERSION(pthread_once, "GLIBC_2.2.5");
LOWRANK_OLD_VERSION(__pthread_key_create, "GLIBC_2.2.5");
// They were in libdl until 2.34.
LOWRANK_OLD_VERSION(dlopen, "GLIBC_2.2.5");
LOWRANK_OLD_VERSION(dlsym, "GLIBC_2.2.5");
LOWRANK_OLD_VERSION(dlerror, "GLIBC_2.2.5");
LOWRANK_OLD_VERSION(dladdr, "GLIBC_2.2.5");

#define LOWRANK_HERE extern "C" __attribute__((visibility("hidden")))

// Functions since 2.33; before it, macros of these.
extern "C" int __xstat(int version, const char* path, struct stat* to);
extern "C" int __fxstat(int version, int descriptor, struct stat* to);
asm(".symver __xstat,__xstat@GLIBC_2.2.5");
asm(".symver __fxstat,__fxstat@GLIBC_2.2.5");
constexpr int kStatVersion = 1;
LOWRANK_HERE int stat(const char* path, struct stat* to) noexcept { return __xstat(kStatVersion, path, to); }
LOWRANK_HERE int fstat(int descriptor, struct stat* to) noexcept { return __fxstat(kStatVersion, descriptor, to); }

// Since 2.32; lets shared_ptr do without atomic operations in a process of one thread.
LOWRANK_HERE char __libc_single_threaded;
char __libc_single_threaded = 0;

// Since 2.35; libgcc's unwinder asks it which object an address is in and where that object's unwind table is.
namespace {

struct Search {
  uintptr_t address;
  dl_find_object* found;
};

int look(dl_phdr_info* info, size_t, void* data) {
  const auto* search = static_cast<Search*>(data);
  const ElfW(Phdr)* segment = nullptr;
  const ElfW(Phdr)* table = nullptr;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    const uintptr_t start = info->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && search->address - start < header.p_memsz) segment = &header;
    if (header.p_type == PT_GNU_EH_FRAME) table = &header;
  }
  if (!segment) return 0;
  if (!table) return -1;
  char* const base = reinterpret_cast<char*>(info->dlpi_addr);
  *search->found = {};
  search->found->dlfo_map_start = base + segment->p_vaddr;
  search->found->dlfo_map_end = base + segment->p_vaddr + segment->p_memsz;
  search->found->dlfo_eh_frame = base + table->p_vaddr;
  return 1;
}

}  // namespace

LOWRANK_HERE int _dl_find_object(void* address, dl_find_object* found) noexcept {
  Search search{reinterpret_cast<uintptr_t>(address), found};
  return dl_iterate_phdr(look, &search) == 1 ? 0 : -1;
}
