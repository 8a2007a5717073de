// Rows that the next operations read from memory, beside the weights of the products before them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "base/tensor.h"
#include "cpu/kernels.h"

namespace lowrank::cpu {

class ComingRows {
 public:
  // rows: in the order in which they are read, each without gaps between its rows. The first `most` bytes of them count, for a cache has to keep them.
  // beside: bytes of the weights until then, over which they are spread.
  void set(std::span<const Mat> rows, int64_t beside, int64_t most) {
    parts_.clear();
    first_ = 0;
    owed_ = 0;
    int64_t total = 0;
    for (const Mat& m : rows) {
      const int64_t bytes = std::min(m.rows * m.cols * dtype_bytes(m.dtype), most - total);
      if (bytes > 0) parts_.push_back({m.row(0), m.row(0) + bytes});
      total += bytes;
    }
    per_byte_ = double(total) / double(std::max<int64_t>(1, beside));
  }

  // What a thread asks for while it goes through so many rows of a weight. Threads may call it at a time.
  Coming take(int64_t outputs, int64_t bytes_per_output) {
    const std::lock_guard lock(mutex_);
    if (first_ == parts_.size()) return {};
    Part& p = parts_[first_];
    owed_ += per_byte_ * double(outputs * bytes_per_output);
    const int64_t taken = std::min<int64_t>(p.end - p.at, int64_t(owed_) + 1);
    owed_ -= double(taken);
    const Coming coming{p.at, p.at + taken, (taken + outputs - 1) / outputs};
    p.at += taken;
    if (p.at == p.end) first_++;
    return coming;
  }

 private:
  struct Part {
    const char *at, *end;
  };
  std::mutex mutex_;
  std::vector<Part> parts_;
  size_t first_ = 0;  // of the parts that are left
  double per_byte_ = 0, owed_ = 0;  // what a part's end cut off goes to the next that asks
};

}  // namespace lowrank::cpu
