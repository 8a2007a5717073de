// A lock on a file that the kernel drops with its process, however that ends.
#pragma once
#include <memory>
#include <string>

namespace lowrank {

class FileLock {
 public:
  enum class Outcome {
    taken,
    held,         // by another process or another part of this one
    unsupported,  // this file system has no such locks
    failed,       // see error
  };
  struct Attempt {
    Outcome outcome = Outcome::failed;
    std::unique_ptr<FileLock> lock;  // where it was taken
    int error = 0;                   // errno of the refused call
  };
  // Makes the file where there is none, and does not wait.
  static Attempt take(const std::string& path);
  ~FileLock();  // gives the lock up; the file stays
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace lowrank
