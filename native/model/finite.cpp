#include "model/finite.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "model/weights.h"

namespace lowrank {

namespace {

// Read at a time, about.
constexpr int64_t kChunk = 1 << 20;

// The exponents of NaN and infinity are all ones, and no others.
template <class Bits>
bool has_exponent_of_ones(const char* p, int64_t n, Bits mask) {
  bool found = false;
  for (int64_t i = 0; i < n; i++) {
    Bits bits;
    std::memcpy(&bits, p + i * int64_t(sizeof(Bits)), sizeof bits);
    found |= (bits & mask) == mask;
  }
  return found;
}

}  // namespace

bool holds_numbers(Format format, const char* p, int64_t n) {
  switch (format) {
    case Format::f32: return !has_exponent_of_ones<uint32_t>(p, n, 0x7f800000u);
    case Format::bf16: return !has_exponent_of_ones<uint16_t>(p, n, 0x7f80);
    case Format::f16: return !has_exponent_of_ones<uint16_t>(p, n, 0x7c00);
    default: break;
  }
  // A scale that is no number makes its block's first element none: even zero times infinity is NaN.
  const int64_t block = format_info(format).block;
  const Weight w{.data = p, .format = format, .rows = n, .cols = block};
  for (int64_t i = 0; i < n; i++) {
    if (!std::isfinite(w.get(i, 0))) return false;
  }
  return true;
}

namespace {

bool read_whole(int fd, char* to, int64_t bytes, int64_t offset) {
  while (bytes > 0) {
    const ssize_t n = pread(fd, to, size_t(bytes), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    to += n, bytes -= n, offset += n;
  }
  return true;
}

class File {
 public:
  explicit File(const std::string& path) : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd < 0) throw Error("E_FILE", path + " cannot be opened: " + std::strerror(errno) + ".", path);
  }
  ~File() { close(fd); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  const int fd;
};

[[noreturn]] void throw_not_finite(const TensorEntry& t) {
  throw Error("E_TENSOR_VALUE", t.file + ": tensor " + t.name +
                  " holds NaN or infinity: the file is damaged, or its model had diverged before it was saved. Download or save it again.",
              t.name);
}

}  // namespace

void check_quantized(const TensorEntry& t, const QuantizedWeight& q) {
  if (!q.finite()) throw_not_finite(t);
  if (q.fits()) return;
  throw Error("E_TENSOR_VALUE", t.file + ": tensor " + t.name +
                  " holds a number beyond 65,504, the largest that f16 has, from which codes of 8 bits are made. Leave the module out "
                  "(quantize_skip), or use 4 bits.",
              t.name);
}

void check_finite(const TensorEntry& t, int threads) {
  check_tensor(t);
  // The values of nf4's, fp4's and i8's codes are numbers; their maxima may be NaN or infinite.
  const bool plain_or_blocks = !is_four_bit(t.format) && t.format != Format::i8;
  const FileRange range = plain_or_blocks ? FileRange{t.file, t.offset, t.bytes} : t.absmax;
  const Format format = plain_or_blocks ? t.format : Format::f32;
  if (!std::isfinite(t.absmax_offset)) throw_not_finite(t);

  const File file(range.file);
  const int64_t block = format_info(format).block_bytes, chunk = kChunk / block * block;
  std::atomic<bool> finite = true, whole = true;
  ThreadPool pool(threads);
  std::vector<std::vector<char>> buffers(size_t(pool.threads()));
  pool.run((range.bytes + chunk - 1) / chunk, [&](int64_t task, int thread) {
    if (!finite || !whole) return;
    auto& buffer = buffers[size_t(thread)];
    buffer.resize(size_t(chunk));
    const int64_t at = task * chunk, bytes = std::min(chunk, range.bytes - at);
    if (!read_whole(file.fd, buffer.data(), bytes, range.offset + at)) whole = false;
    else if (!holds_numbers(format, buffer.data(), bytes / block)) finite = false;
  });
  if (!whole) throw Error("E_FILE", range.file + ": the file is cut short within tensor " + t.name + ". Download it again.", range.file);
  if (!finite) throw_not_finite(t);
}

}  // namespace lowrank
