// Columns and rows of a linear's output: DoRA, biases of B, dropout, noise.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/cpu_backend.h"

namespace lowrank::cpu {

namespace {
constexpr int64_t kColumns = 64, kRows = 16;  // of a task

char* element(const Mat& x, int64_t row, int64_t col) { return x.row(row) + col * dtype_bytes(x.dtype); }
}  // namespace

void CpuBackend::do_columns_fwd(const ColumnsFwdArgs& a) {
  const int64_t m = a.y.rows, n = a.y.cols;
  pool_.run((m + kRows - 1) / kRows, [&](int64_t task, int) {
    std::vector<float> sums(static_cast<size_t>(n)), z(a.z ? size_t(n) : 0);
    for (int64_t row = task * kRows; row < std::min(m, (task + 1) * kRows); row++) {
      if (a.accumulate) rk_.widen(a.y.row(row), a.y.dtype, n, sums.data());
      else std::fill(sums.begin(), sums.end(), 0.f);
      if (a.z) {
        rk_.widen(a.z.row(row), a.z.dtype, n, z.data());
        for (int64_t o = 0; o < n; o++) sums[size_t(o)] += a.factor[o] * z[size_t(o)];
      }
      if (a.bias) rk_.add_scaled(a.bias, n, DType::f32, a.bias_scale, sums.data());
      rk_.narrow(sums.data(), n, a.y.dtype, a.y.row(row));
    }
  });
}

// The sums over rows are one task's, in the rows' order.
void CpuBackend::do_columns_bwd(const ColumnsBwdArgs& a) {
  const int64_t m = a.dy.rows;
  pool_.run((a.dy.cols + kColumns - 1) / kColumns, [&](int64_t task, int) {
    const int64_t first = task * kColumns, n = std::min(kColumns, a.dy.cols - first);
    float dy[kColumns], z[kColumns];
    double through_z[kColumns] = {}, sum[kColumns] = {};
    for (int64_t row = 0; row < m; row++) {
      rk_.widen(element(a.dy, row, first), a.dy.dtype, n, dy);
      for (int64_t o = 0; o < n; o++) sum[o] += double(dy[o]);
      if (!a.z) continue;
      rk_.widen(element(a.z, row, first), a.z.dtype, n, z);
      for (int64_t o = 0; o < n; o++) {
        through_z[o] += double(dy[o]) * double(z[o]);
        z[o] = a.factor[first + o] * dy[o];
      }
      rk_.narrow(z, n, a.z.dtype, element(a.z, row, first));
    }
    for (int64_t o = 0; o < n; o++) {
      if (a.z) a.dmagnitude[first + o] += float(through_z[o] / double(a.norm[first + o]));
      if (a.dbias) a.dbias[first + o] += float(double(a.bias_scale) * sum[o]);
    }
  });
}

void CpuBackend::do_row_norms(const RowNormsArgs& a) {
  const int64_t in = a.w.cols, rank = a.lora.rank;
  pool_.run((a.w.rows + kRows - 1) / kRows, [&](int64_t task, int) {
    std::vector<float> row(static_cast<size_t>(in));
    for (int64_t o = task * kRows; o < std::min(a.w.rows, (task + 1) * kRows); o++) {
      if (!a.w.transposed) k_.decode(a.w, o, 1, 0, in, DType::f32, row.data(), in);
      for (int64_t i = 0; i < in && a.w.transposed; i++) row[size_t(i)] = a.w.get(o, i);
      for (int64_t r = 0; r < rank; r++) rk_.add_scaled(a.lora.a + r * in, in, DType::f32, a.lora.scale * a.lora.b[o * rank + r], row.data());
      const double norm = std::sqrt(double(rk_.sum_squares(row.data(), 0.f, in)));
      a.norm[o] = float(norm);
      if (a.magnitude) a.factor[o] = float(double(a.magnitude[o]) / norm);
    }
  });
}

void CpuBackend::do_dropout(const DropoutArgs& a) {
  pool_.run(a.x.rows, [&](int64_t m, int) {
    rk_.mask(a.x.row(m), a.x.cols, a.x.dtype, a.dropout, uint64_t(m * a.x.cols), a.rest, a.accumulate, a.y.dtype, a.y.row(m));
  });
}

void CpuBackend::do_add_noise(const NoiseArgs& a) {
  pool_.run((a.x.rows + kRows - 1) / kRows, [&](int64_t task, int) {
    for (int64_t m = task * kRows; m < std::min(a.x.rows, (task + 1) * kRows); m++) {
      float* const x = reinterpret_cast<float*>(a.x.row(m));
      std::array<uint32_t, 4> words{};
      for (int64_t c = 0; c < a.x.cols; c++) {
        const uint64_t j = a.offset + uint64_t(m * a.x.cols + c);
        if (c == 0 || j % 4 == 0) words = philox(a.seed, a.stream, j / 4);
        x[c] += a.size * (2 * uniform01(words[j % 4]) - 1);
      }
    }
  });
}

}  // namespace lowrank::cpu
