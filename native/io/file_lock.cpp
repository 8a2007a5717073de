#include "io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace lowrank {

namespace {

// False where the file was removed, or replaced, between opening and locking: that lock would exclude nobody.
bool is_still_at(const std::string& path, int fd) {
  struct stat opened {}, named {};
  return fstat(fd, &opened) == 0 && stat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

FileLock::Outcome outcome_of(int error) {
  switch (error) {
    case EWOULDBLOCK: return FileLock::Outcome::held;
    case ENOLCK:
    case ENOSYS:
    case EOPNOTSUPP: return FileLock::Outcome::unsupported;
    default: return FileLock::Outcome::failed;
  }
}

}  // namespace

FileLock::Attempt FileLock::take(const std::string& path) {
  for (;;) {
    // For writing, because NFS makes of an exclusive lock one that needs it.
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return {Outcome::failed, nullptr, errno};
    // The lock belongs to this open file description, so that two parts of one process exclude each other.
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      close(fd);
      if (error == EINTR) continue;
      return {outcome_of(error), nullptr, error};
    }
    std::unique_ptr<FileLock> lock(new FileLock(fd));
    if (is_still_at(path, fd)) return {Outcome::taken, std::move(lock), 0};
  }
}

FileLock::~FileLock() { close(fd_); }

}  // namespace lowrank
