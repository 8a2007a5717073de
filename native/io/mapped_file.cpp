#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace lowrank {

MappedFile::MappedFile(const std::string& path, Access access) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw Error("E_FILE", path + ": cannot be opened (" + std::strerror(errno) + ").", path);
  struct stat st {};
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(fd);
    throw Error("E_FILE", path + ": is not a regular file.", path);
  }
  bytes_ = st.st_size;
  if (bytes_ > 0) {
    const bool copies = access == Access::private_copy;
    void* p = copies ? mmap(nullptr, size_t(bytes_), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0)
                     : mmap(nullptr, size_t(bytes_), PROT_READ, MAP_SHARED, fd, 0);
    const int reason = errno;
    if (p == MAP_FAILED) {
      close(fd);
      throw Error("E_FILE", path + ": cannot be mapped (" + std::strerror(reason) + ").", path);
    }
    data_ = static_cast<const char*>(p);
  }
  close(fd);
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<char*>(data_), size_t(bytes_));
}

void MappedFile::release_pages() {
  if (data_) madvise(const_cast<char*>(data_), size_t(bytes_), MADV_DONTNEED);
}

}  // namespace lowrank
