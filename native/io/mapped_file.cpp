#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

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

MappedFile::MappedFile(const std::string& path, Access access) : MappedFile(path, access, path) {}

MappedFile::MappedFile(const std::string& path, Access access, std::string name)
    : path_(std::move(name)), fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (fd_ < 0) throw Error("E_FILE", path_ + ": cannot be opened (" + std::strerror(errno) + ").", path_);
  try {
    map(access);
  } catch (...) {
    close(fd_);
    throw;
  }
}

void MappedFile::map(Access access) {
  struct stat st {};
  if (fstat(fd_, &st) != 0 || !S_ISREG(st.st_mode)) throw Error("E_FILE", path_ + ": is not a regular file.", path_);
  bytes_ = st.st_size;
  identity_ = identity_of(st);
  if (bytes_ == 0) return;
  const bool copies = access == Access::private_copy;
  const int prot = copies ? PROT_READ | PROT_WRITE : PROT_READ;
  void* p = mmap(nullptr, size_t(bytes_), prot, copies ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED, fd_, 0);
  if (p == MAP_FAILED) throw Error("E_FILE", path_ + ": cannot be mapped (" + std::strerror(errno) + ").", path_);
  // Where the file is not in the page cache yet, it is read in large pages if the system can: weights are read whole in every
  // step, and by pages of 4 KB that takes 15 % longer. Without effect elsewhere.
  if (!copies) madvise(p, size_t(bytes_), MADV_HUGEPAGE);
  data_ = static_cast<const char*>(p);
  guard_.emplace(p, size_t(bytes_), prot);
}

std::shared_ptr<const MappedFile> MappedFile::shared(const std::string& path) {
  auto& [mutex, files] = registry();
  const std::lock_guard lock(mutex);
  std::erase_if(files, [](const auto& entry) { return entry.second.expired(); });
  const auto known = [&](const Identity& who) {
    const auto found = files.find(who);
    const auto file = found == files.end() ? nullptr : found->second.lock();
    return file && !file->change() ? file : nullptr;
  };
  if (auto file = known(identity(path))) return file;
  auto file = std::make_shared<const MappedFile>(path);
  if (auto same = known(file->identity())) return same;  // it was put there meanwhile
  files[file->identity()] = file;
  return file;
}

MappedFile::~MappedFile() {
  guard_.reset();
  if (data_) munmap(const_cast<char*>(data_), size_t(bytes_));
  close(fd_);
}

std::optional<std::string> MappedFile::change() const {
  struct stat st {};
  if (fstat(fd_, &st) != 0) return std::string("is no longer there (") + std::strerror(errno) + ")";
  const auto sizes = " while it was in use: it had " + std::to_string(bytes_) + " bytes and has " + std::to_string(st.st_size);
  if (st.st_size < bytes_) return "was cut short" + sizes;
  if (st.st_size > bytes_) return "has grown" + sizes;
  if (identity_of(st) != identity_) return "was written to while it was in use";
  if (guard_ && guard_->has_lost_pages()) return "could not be read while it was in use: it was shorter for a while, or its disk failed";
  return std::nullopt;
}

void MappedFile::check_unchanged() const {
  const auto what = change();
  if (!what) return;
  throw Error("E_FILE_CHANGED", path_ + ": the file " + *what +
                  ". What was computed with it is dropped. Put the right file there, under another name first and then renamed, and start again.",
              path_);
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

MappedFile::Identity MappedFile::identity(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0 ? identity_of(st) : Identity();
}

}  // namespace lowrank
