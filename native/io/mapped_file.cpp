#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "base/error.h"

namespace lowrank {

namespace {

MappedFile::Identity identity_of(const struct stat& st) {
  return {int64_t(st.st_dev), int64_t(st.st_ino), st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
}

// The mappings that `shared` gave.
struct Registry {
  std::mutex mutex;
  std::map<MappedFile::Identity, std::weak_ptr<const MappedFile>> files;
};

Registry& registry() {
  static Registry all;
  return all;
}

}  // namespace

MappedFile::MappedFile(const std::string& path, Access access) : path_(path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw Error("E_FILE", path + ": cannot be opened (" + std::strerror(errno) + ").", path);
  struct stat st {};
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(fd);
    throw Error("E_FILE", path + ": is not a regular file.", path);
  }
  bytes_ = st.st_size;
  identity_ = identity_of(st);
  if (bytes_ > 0) {
    const bool copies = access == Access::private_copy;
    void* p = copies ? mmap(nullptr, size_t(bytes_), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0)
                     : mmap(nullptr, size_t(bytes_), PROT_READ, MAP_SHARED, fd, 0);
    const int reason = errno;
    if (p == MAP_FAILED) {
      close(fd);
      throw Error("E_FILE", path + ": cannot be mapped (" + std::strerror(reason) + ").", path);
    }
    // Where the file is not in the page cache yet, it is read in large pages if the system can: weights are read whole in every
    // step, and by pages of 4 KB that takes 15 % longer. Without effect elsewhere.
    if (!copies) madvise(p, size_t(bytes_), MADV_HUGEPAGE);
    data_ = static_cast<const char*>(p);
  }
  close(fd);
}

std::shared_ptr<const MappedFile> MappedFile::shared(const std::string& path) {
  const Identity who = identity(path);
  if (who == Identity()) return std::make_shared<const MappedFile>(path);  // fails, with the reason
  auto& [mutex, files] = registry();
  const std::lock_guard lock(mutex);
  std::erase_if(files, [](const auto& entry) { return entry.second.expired(); });
  auto& known = files[who];
  auto file = known.lock();
  if (!file) {
    file = std::make_shared<const MappedFile>(path);
    known = file;
  }
  return file;
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<char*>(data_), size_t(bytes_));
}

int64_t MappedFile::copied_bytes(const std::string& path) {
  auto& [mutex, files] = registry();
  const std::lock_guard lock(mutex);
  const auto known = files.find(identity(path));
  if (known == files.end()) return 0;
  const auto file = known->second.lock();
  return file ? file->copied_bytes() : 0;
}

void MappedFile::release_pages(int64_t offset, int64_t bytes) const {
  const std::lock_guard lock(mutex_);
  if (copied_ > 0) return;  // the copies would be lost
  const int64_t page = sysconf(_SC_PAGESIZE), begin = (offset + page - 1) / page * page;
  const int64_t end = offset + bytes == bytes_ ? bytes_ : (offset + bytes) / page * page;
  if (data_ && begin < end) madvise(const_cast<char*>(data_) + begin, size_t(end - begin), MADV_DONTNEED);
}

MappedFile::Identity MappedFile::identity(int fd) {
  struct stat st {};
  return fstat(fd, &st) == 0 ? identity_of(st) : Identity();
}

MappedFile::Identity MappedFile::identity(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0 ? identity_of(st) : Identity();
}

}  // namespace lowrank
