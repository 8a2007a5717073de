#include "io/mapping_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>

namespace lowrank {

// Read in a signal handler: entries are linked once and never freed, but used again.
struct MappingGuard::Entry {
  std::atomic<uintptr_t> begin{0}, end{0};  // no mapping while end is 0
  std::atomic<int> prot{0};
  std::atomic<bool> lost{false};
  Entry* next = nullptr;
  bool is_taken = false;  // under the mutex
};

struct GuardedMappings {
  using Entry = MappingGuard::Entry;
  std::mutex mutex;
  std::atomic<Entry*> first{nullptr};
  struct sigaction before {};  // who handled SIGBUS until then
  uintptr_t page = 0;
  bool handles = false;

  static GuardedMappings& all();
  Entry* add(uintptr_t begin, uintptr_t end, int prot);
  void remove(Entry*);
  void install();
  bool replace_lost(uintptr_t address);
  void pass_on(int signal, siginfo_t*, void* context);
};

namespace {

void on_bus_error(int signal, siginfo_t* info, void* context) {
  // The memory lies in a file that has no such page, or the page could not be read.
  const bool replaced = info->si_code == BUS_ADRERR && GuardedMappings::all().replace_lost(reinterpret_cast<uintptr_t>(info->si_addr));
  if (!replaced) GuardedMappings::all().pass_on(signal, info, context);
}

}  // namespace

GuardedMappings& GuardedMappings::all() {
  static auto* const mappings = new GuardedMappings;  // outlives every thread
  return *mappings;
}

void GuardedMappings::install() {
  if (handles) return;
  page = uintptr_t(sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, nullptr, &before);
  handles = sigaction(SIGBUS, &action, nullptr) == 0;
}

GuardedMappings::Entry* GuardedMappings::add(uintptr_t begin, uintptr_t end, int prot) {
  const std::lock_guard lock(mutex);
  install();
  Entry* e = first;
  while (e && e->is_taken) e = e->next;
  if (!e) {
    e = new Entry;
    e->next = first;
    first = e;
  }
  e->is_taken = true;
  e->lost = false;
  e->prot = prot;
  e->begin = begin;
  e->end = (end + page - 1) / page * page;  // a wide load may name the last page's end
  return e;
}

void GuardedMappings::remove(Entry* e) {
  const std::lock_guard lock(mutex);
  e->end = 0;
  e->is_taken = false;
}

// The reader's own mapping stays in the list while it reads. An entry that is used again just now matches no address of another one:
// its end is zero until it has its new beginning.
bool GuardedMappings::replace_lost(uintptr_t address) {
  for (Entry* e = first; e; e = e->next) {
    const uintptr_t end = e->end, begin = e->begin;
    if (address < begin || address >= end || e->end != end) continue;
    e->lost = true;
    // All pages from there on at once: pages beyond a cut are gone, too, and the system counts mappings of single pages.
    const uintptr_t from = address / page * page;
    return mmap(reinterpret_cast<void*>(from), end - from, e->prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
  }
  return false;
}

void GuardedMappings::pass_on(int signal, siginfo_t* info, void* context) {
  if (before.sa_flags & SA_SIGINFO) return before.sa_sigaction(signal, info, context);
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
  // A signal that a process sent is sent again, for it does not come by itself when the instruction is repeated.
  const bool is_sent = info->si_code <= 0;
  if (is_sent && before.sa_handler == SIG_IGN) return;
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  sigaction(SIGBUS, &standard, nullptr);
  if (is_sent) raise(signal);
}

MappingGuard::MappingGuard(const void* begin, size_t bytes, int prot)
    : entry_(GuardedMappings::all().add(reinterpret_cast<uintptr_t>(begin), reinterpret_cast<uintptr_t>(begin) + bytes, prot)) {}

MappingGuard::~MappingGuard() { GuardedMappings::all().remove(entry_); }

bool MappingGuard::has_lost_pages() const { return entry_->lost; }

}  // namespace lowrank
