// A file mapped read-only: pages come from the page cache, are shared between processes and are never copied.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>

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
  // The one read-only mapping of a file in this process, made where there is none; files are told apart by device, inode,
  // size and time of change. Any thread may call it. Error E_FILE.
  static std::shared_ptr<const MappedFile> shared(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

  // What is resident is no longer this process's; it is mapped again from the page cache when it is touched.
  void release_pages() const { release_pages(0, bytes_); }
  void release_pages(int64_t offset, int64_t bytes) const;  // of whole pages within the range

 private:
  const char* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace lowrank
