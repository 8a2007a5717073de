// The forward pass of LLM.int8's linears. Codes are integers of at most 127, which every activation dtype holds. So their
// product is an ordinary one with f32 sums, exact up to 2^24. It is scaled afterwards.
#include <algorithm>

#include "cpu/cpu_backend.h"
#include "cpu/matmul.h"

namespace lowrank::cpu {

namespace {

// Outputs at a time: their sums lie in f32 until everything is added up.
constexpr int64_t kOutputs = 1024;
// Columns with outliers that go into a product at a time.
constexpr int64_t kOutlierColumns = 128;

// Offsets in bytes.
struct Int8Parts {
  int64_t codes, maxima, flags, columns, sums, x, w, end;
};

Int8Parts int8_parts(const OpLimits& l) {
  Int8Parts p{};
  const auto take = [&](int64_t bytes) {
    const int64_t at = p.end;
    p.end += round_up(bytes, 64);
    return at;
  };
  const int64_t outputs = std::min(l.features, kOutputs), outliers = std::min(l.features, kOutlierColumns), act = dtype_bytes(l.act);
  p.codes = take(l.tokens * l.features * act);
  p.maxima = take(l.tokens * 4);
  p.flags = take(l.features);
  p.columns = take(l.features * 4);
  p.sums = take(l.tokens * outputs * 4);
  p.x = take(l.tokens * outliers * act);
  p.w = take(outputs * outliers * 4);
  return p;
}

// Rows [first, first + n) of the weight's codes, with the values of the codes.
Weight codes_of(const Weight& w, int64_t first, int64_t n) {
  return {.data = w.row(first), .format = w.format, .rows = n, .cols = w.cols};
}

void copy_element(const Mat& from, const Mat& to, int64_t row, int64_t col, int64_t to_col) {
  const int64_t size = dtype_bytes(from.dtype);
  std::memcpy(to.row(row) + to_col * size, from.row(row) + col * size, size_t(size));
}

}  // namespace

int64_t CpuBackend::int8_workspace(const OpLimits& l) { return l.rounds_activations ? int8_parts(l).end : 0; }

void CpuBackend::int8_fwd(const LinearFwdArgs& a, const Matmul& matmul, char* work) {
  const Weight& w = a.w;
  const int64_t m = a.x.rows, in = w.cols, out = w.rows;
  check(w.format == Format::i8 && w.interleaved == 0 && w.absmax, "weight", "linear_fwd");
  const Int8Parts p = int8_parts(limits_);
  const Mat codes(work + p.codes, a.x.dtype, m, in);
  float* const maxima = reinterpret_cast<float*>(work + p.maxima);
  uint8_t* const flags = reinterpret_cast<uint8_t*>(work + p.flags);
  int32_t* const columns = reinterpret_cast<int32_t*>(work + p.columns);

  std::fill(flags, flags + in, uint8_t(0));
  pool_.run(m, [&](int64_t i, int) { maxima[i] = rk_.int8_maximum(a.x.row(i), in, a.x.dtype, w.outlier_threshold, flags); });
  int64_t outliers = 0;
  for (int64_t c = 0; c < in; c++) {
    if (flags[c]) columns[outliers++] = int32_t(c);
  }
  pool_.run(m, [&](int64_t i, int) {
    rk_.int8_codes(a.x.row(i), in, a.x.dtype, int8_factor(maxima[i]), codes.row(i));
    for (int64_t c = 0; c < outliers; c++) codes.set(i, columns[c], 0);
  });

  for (int64_t n0 = 0; n0 < out; n0 += kOutputs) {
    const int64_t n = std::min(kOutputs, out - n0);
    const Mat sums(work + p.sums, DType::f32, m, n);
    const char* const row_maxima = static_cast<const char*>(w.absmax) + n0 * 4;
    matmul({.terms = {{codes, codes_of(w, n0, n), Along::columns}}, .n = n, .out = sums});
    pool_.run(m, [&](int64_t i, int) { rk_.int8_scale(reinterpret_cast<float*>(sums.row(i)), n, maxima[i] * kInt8ProductStep, row_maxima); });
    if (a.lora) {
      const Weight b{.data = a.lora->b + n0 * a.lora->rank, .rows = n, .cols = a.lora->rank};
      matmul({.terms = {{a.u, b, Along::columns}}, .n = n, .out = sums, .accumulate = true});
    }
    for (int64_t first = 0; first < outliers; first += kOutlierColumns) {
      const int64_t count = std::min(kOutlierColumns, outliers - first);
      const Mat x(work + p.x, a.x.dtype, m, count);
      float* const values = reinterpret_cast<float*>(work + p.w);
      pool_.run(m, [&](int64_t i, int) {
        for (int64_t c = 0; c < count; c++) copy_element(a.x, x, i, columns[first + c], c);
      });
      pool_.run(n, [&](int64_t o, int) {
        for (int64_t c = 0; c < count; c++) values[o * count + c] = w.get(n0 + o, columns[first + c]);
      });
      const Weight of_columns{.data = values, .rows = n, .cols = count};
      matmul({.terms = {{x, of_columns, Along::columns}}, .n = n, .out = sums, .accumulate = true});
    }
    pool_.run(m, [&](int64_t i, int) {
      rk_.epilogue(reinterpret_cast<const float*>(sums.row(i)), 1, a.bias ? a.bias + n0 : nullptr, n, a.y.dtype, a.accumulate,
                   a.y.row(i) + n0 * dtype_bytes(a.y.dtype));
    });
  }
}

}  // namespace lowrank::cpu
