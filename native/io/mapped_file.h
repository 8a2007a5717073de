// A file mapped read-only: pages come from the page cache, are shared between processes and are never copied.
#pragma once
#include <cstdint>
#include <string>

namespace lowrank {

class MappedFile {
 public:
  explicit MappedFile(const std::string& path);  // Error E_FILE
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  const char* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace lowrank
