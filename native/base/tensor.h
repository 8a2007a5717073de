// Views of memory; they own nothing.
#pragma once
#include "base/dtype.h"

namespace lowrank {

// Row-major matrix of activations or gradients, (rows, cols), `ld` elements from row to row.
struct Mat {
  void* data = nullptr;
  DType dtype = DType::f32;
  int64_t rows = 0, cols = 0, ld = 0;

  Mat() = default;
  LOWRANK_ON_DEVICE Mat(void* data_, DType dtype_, int64_t rows_, int64_t cols_, int64_t ld_ = -1)
      : data(data_), dtype(dtype_), rows(rows_), cols(cols_), ld(ld_ < 0 ? cols_ : ld_) {}

  LOWRANK_ON_DEVICE explicit operator bool() const { return data != nullptr; }
  LOWRANK_ON_DEVICE char* row(int64_t r) const { return static_cast<char*>(data) + r * ld * dtype_bytes(dtype); }
  Mat slice(int64_t first, int64_t count) const { return Mat(row(first), dtype, count, cols, ld); }
  LOWRANK_ON_DEVICE float get(int64_t r, int64_t c) const { return load_f32(data, dtype, r * ld + c); }
  LOWRANK_ON_DEVICE void set(int64_t r, int64_t c, float v) const { store_f32(data, dtype, r * ld + c, v); }
};

}  // namespace lowrank
