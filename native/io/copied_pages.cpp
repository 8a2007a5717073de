// Copies the parts of a mapped file that every step reads into large pages.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "base/large_pages.h"
#include "io/mapped_file.h"

namespace lowrank {

namespace {

// Largest gap between two ranges that are copied as one; a norm's vector may lie in it.
constexpr int64_t kGap = 64 << 10;

// Bytes of the mapping that begins at `begin` which are mapped in large pages of the page cache; 0 where the system doesn't
// tell.
int64_t bytes_in_large_pages(const char* begin) {
  FILE* f = std::fopen("/proc/self/smaps", "re");
  if (!f) return 0;
  char line[512];
  int64_t found = 0;
  bool here = false;
  while (std::fgets(line, sizeof line, f)) {
    uint64_t from = 0, to = 0;
    int64_t kilobytes = 0;
    // A mapping's first line, or a later line about it.
    if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2) here = from == reinterpret_cast<uintptr_t>(begin);
    else if (here && std::sscanf(line, "FilePmdMapped: %" SCNd64, &kilobytes) == 1) found = kilobytes * 1024;
  }
  std::fclose(f);
  return found;
}

bool read_whole(int fd, char* to, int64_t bytes, int64_t offset) {
  while (bytes > 0) {
    const ssize_t n = pread(fd, to, size_t(bytes), offset);
    if (n <= 0) return false;
    to += n;
    bytes -= n;
    offset += n;
  }
  return true;
}

}  // namespace

bool MappedFile::in_large_pages(const std::vector<char*>& pages) const {
  // A file is read in one way or the other: some pages, evenly spread, tell.
  const size_t samples = std::min<size_t>(16, pages.size());
  for (size_t i = 0; i < samples; i++) static_cast<void>(*static_cast<const volatile char*>(pages[i * pages.size() / samples]));
  return bytes_in_large_pages(data_) >= int64_t(samples) * kLargePage * 7 / 8;
}

void MappedFile::copy_run(char* begin, int64_t pages, ThreadPool& pool, std::atomic<int64_t>& copied) const {
  LargePages copy(pages * kLargePage);
  if (!copy.data()) return;
  const int64_t offset = begin - data_;
  std::atomic<bool> whole = true;
  pool.run(pages, [&](int64_t page, int) {
    const int64_t at = page * kLargePage;
    if (!read_whole(fd_, copy.data() + at, kLargePage, offset + at)) whole = false;
    copied += kLargePage;
  });
  if (whole && copy.move_to(begin)) copied_ += pages * kLargePage;
}

void MappedFile::read_anew(const std::vector<char*>& pages) const {
  const std::lock_guard lock(mutex_);
  if (copied_ > 0 || pages.empty()) return;
  const auto let_go = [&](char* page) {
    madvise(page, size_t(kLargePage), MADV_DONTNEED);
    posix_fadvise(fd_, page - data_, kLargePage, POSIX_FADV_DONTNEED);
  };
  // Processes that do the same at the same time hold each other's pages: each tries others.
  constexpr size_t kTried = 4;
  const int64_t before = bytes_in_large_pages(data_);
  for (size_t i = 0; i < kTried; i++) {
    char* const page = pages[(i * pages.size() / kTried + size_t(getpid())) % pages.size()];
    let_go(page);
    static_cast<void>(*static_cast<const volatile char*>(page));
  }
  if (bytes_in_large_pages(data_) - before < int64_t(kTried - 1) * kLargePage) return;
  for (char* const page : pages) let_go(page);
}

std::vector<char*> MappedFile::pages_to_copy(std::vector<Range> ranges) const {
  std::vector<char*> pages;
  if (copied_ > 0 || !data_ || !has_large_pages()) return pages;
  const auto start = reinterpret_cast<uintptr_t>(data_);
  const auto skipped = int64_t((uintptr_t(kLargePage) - start % uintptr_t(kLargePage)) % uintptr_t(kLargePage));
  char* const first = const_cast<char*>(data_) + skipped;
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.offset < b.offset; });
  for (size_t i = 0; i < ranges.size();) {
    const int64_t begin = ranges[i].offset;
    int64_t end = begin + ranges[i].bytes;
    for (i++; i < ranges.size() && ranges[i].offset <= end + kGap; i++) end = std::max(end, ranges[i].offset + ranges[i].bytes);
    const int64_t last = (std::min(end, bytes_) - skipped) / kLargePage;
    for (int64_t page = std::max<int64_t>(0, begin - skipped + kLargePage - 1) / kLargePage; page < last; page++) pages.push_back(first + page * kLargePage);
  }
  if (!pages.empty() && in_large_pages(pages)) pages.clear();
  return pages;
}

void MappedFile::copy_pages(const std::vector<char*>& pages, ThreadPool& pool, std::atomic<int64_t>& copied) const {
  const std::lock_guard lock(mutex_);
  if (copied_ > 0) return;  // another engine was faster
  for (size_t i = 0; i < pages.size() && !change();) {
    size_t n = 1;
    while (i + n < pages.size() && pages[i + n] == pages[i] + int64_t(n) * kLargePage) n++;
    copy_run(pages[i], int64_t(n), pool, copied);
    i += n;
  }
}

}  // namespace lowrank
