// A file mapped read-only: pages come from the page cache and are shared between processes, except copied pages.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "io/mapping_guard.h"

namespace lowrank {

class MappedFile {
 public:
  enum class Access {
    read,
    private_copy,  // writing is possible and stays here: for memory that is handed to code that might
  };

  using Identity = std::array<int64_t, 5>;  // device, inode, size and time of change
  static Identity identity(const std::string& path);  // zeros where there is no such file

  explicit MappedFile(const std::string& path, Access = Access::read);  // Error E_FILE
  // A file that will be renamed: errors call it by its later name.
  MappedFile(const std::string& path, Access, std::string name);
  // The one read-only mapping of a file in this process, made where there is none; files are told apart by device, inode,
  // size and time of change. Any thread may call it. Error E_FILE.
  static std::shared_ptr<const MappedFile> shared(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  // Of the file that is mapped: its path may be another one's by now.
  const Identity& identity() const { return identity_; }
  const std::string& path() const { return path_; }

  // The change of the file since it was mapped, as words to follow its name: bytes read since then may be anything. Nothing where size
  // and time of change are the same. Another file put in its place does not matter. Takes a microsecond.
  std::optional<std::string> change() const;
  void check_unchanged() const;  // Error E_FILE_CHANGED

  struct Range {
    int64_t offset, bytes;
  };
  // The pages of these ranges that are worth copying: the large pages within them, neighbours taken together, if the page cache
  // holds the file in small pages and the system grants large ones.
  std::vector<char*> pages_to_copy(std::vector<Range> ranges) const;
  // Copies them into memory of this process, read-only, at the same addresses; `copied` counts bytes. Products that read their
  // weights from there take up to 15 % less time. Pages that the system refuses to copy stay mapped from the file. Any thread may
  // read meanwhile.
  void copy_pages(const std::vector<char*>& pages, ThreadPool& pool, std::atomic<int64_t>& copied) const;
  // Has the page cache read these pages anew, in large pages: for a file that several processes map, each of which would need a copy of its own.
  // It is left as it is where a few pages do not come back in large ones. What another process has mapped, too, stays as it is there.
  void read_anew(const std::vector<char*>& pages) const;
  int64_t copied_bytes() const { return copied_; }
  static int64_t copied_bytes(const std::string& path);  // of the mapping that `shared` gave; 0 where there is none

  // Resident pages are given back. A page is mapped again from the page cache when it is touched.
  void release_pages() const { release_pages(0, bytes_); }
  void release_pages(int64_t offset, int64_t bytes) const;  // of whole pages within the range; nothing of a file that was copied

 private:
  void map(Access);
  bool in_large_pages(const std::vector<char*>& pages) const;
  void copy_run(char* begin, int64_t pages, ThreadPool& pool, std::atomic<int64_t>& copied) const;

  std::string path_;
  int fd_ = -1;
  Identity identity_{};
  const char* data_ = nullptr;
  int64_t bytes_ = 0;
  std::optional<MappingGuard> guard_;
  mutable std::mutex mutex_;  // pages are copied or given back by one thread at a time
  mutable std::atomic<int64_t> copied_ = 0;
};

}  // namespace lowrank
