// The operations that work row by row.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "cpu/cpu_backend.h"

namespace lowrank::cpu {

namespace {
// Rows of a task: enough that handing it out costs nothing.
int64_t rows_per_task(int64_t cols) { return std::max<int64_t>(1, 16 * 1024 / std::max<int64_t>(cols, 1)); }
}  // namespace

template <class F>
void CpuBackend::for_rows(int64_t rows, int64_t cols, F&& f) {
  const int64_t step = rows_per_task(cols);
  pool_.run((rows + step - 1) / step, [&](int64_t task, int) {
    for (int64_t r = task * step; r < std::min(rows, (task + 1) * step); r++) f(r);
  });
}

void CpuBackend::do_embedding_fwd(const EmbeddingArgs& a) {
  const int64_t c = a.table.cols;
  for_rows(a.x.rows, c, [&](int64_t m) {
    float* const x = reinterpret_cast<float*>(a.x.row(m));
    if (!a.accumulate) {
      k_.decode(a.table, a.ids[m], 1, 0, c, DType::f32, x, c);
      if (a.scale != 1.f) rk_.scale(x, c, a.scale);
      return;
    }
    constexpr int64_t kPart = 256;
    float part[kPart];
    for (int64_t i = 0; i < c; i += kPart) {
      const int64_t n = std::min(kPart, c - i);
      k_.decode(a.table, a.ids[m], 1, i, n, DType::f32, part, n);
      rk_.add_scaled(part, n, DType::f32, a.scale, x + i);
    }
  });
}

// A task takes columns, so that each element's sum has the order of the rows.
void CpuBackend::do_embedding_bwd(const EmbeddingBwdArgs& a) {
  constexpr int64_t kColumns = 64;
  pool_.run((a.dx.cols + kColumns - 1) / kColumns, [&](int64_t task, int) {
    const int64_t c = task * kColumns, n = std::min(kColumns, a.dx.cols - c);
    for (int64_t m = 0; m < a.dx.rows; m++) {
      rk_.add_scaled(reinterpret_cast<const float*>(a.dx.row(m)) + c, n, DType::f32, a.scale, reinterpret_cast<float*>(a.dtable.row(a.ids[m])) + c);
    }
  });
}

void CpuBackend::do_norm_fwd(const NormFwdArgs& a) {
  const int64_t c = a.x.cols;
  for_rows(a.x.rows, c, [&](int64_t m) {
    const float* x = reinterpret_cast<const float*>(a.x.row(m));
    const float mean = a.centred ? float(rk_.sum(x, c) / double(c)) : 0.f;
    const float rstd = float(1 / std::sqrt(rk_.sum_squares(x, mean, c) / double(c) + double(a.eps)));
    if (a.rstd) a.rstd[m] = rstd;
    rk_.norm_fwd(x, mean, a.w, a.b, rstd, c, a.h.dtype, a.h.row(m), a.saved ? a.saved.row(m) : nullptr);
  });
}

void CpuBackend::do_norm_apply(const NormApplyArgs& a) {
  for_rows(a.x.rows, a.x.cols, [&](int64_t m) { rk_.norm_apply(a.x.row(m), a.w, a.b, a.rstd[m], a.x.cols, a.x.dtype, a.h.row(m)); });
}

void CpuBackend::do_norm_bwd(const NormBwdArgs& a) {
  for_rows(a.x.rows, a.x.cols, [&](int64_t m) {
    rk_.norm_bwd(reinterpret_cast<const float*>(a.dh.row(m)), a.x.row(m), a.w, a.rstd[m], a.centred, a.x.cols, a.x.dtype,
                 reinterpret_cast<float*>(a.dx.row(m)), a.rounded ? a.rounded.row(m) : nullptr);
  });
}

void CpuBackend::do_inner_norm_fwd(const InnerNormFwdArgs& a) {
  const int64_t per_group = a.heads / a.groups, n = a.dim;
  for_rows(a.x.mat.rows, a.heads * n, [&](int64_t m) {
    thread_local std::vector<float> rows;
    rows.resize(size_t(2 * n));
    float *const x32 = rows.data(), *const y32 = x32 + n;
    for (int64_t h = 0; h < a.heads; h++) {
      const Mat x = a.x.head(h / per_group, h % per_group, n), y = a.y.head(h / per_group, h % per_group, n);
      const int64_t own = a.each ? h * n : 0;  // where its weight begins
      rk_.widen(x.row(m), x.dtype, n, x32);
      const float mean = a.centred ? float(rk_.sum(x32, n) / double(n)) : 0.f;
      const float rstd = float(1 / std::sqrt(rk_.sum_squares(x32, mean, n) / double(n) + double(a.eps)));
      if (a.rstd) a.rstd[m * a.heads + h] = rstd;
      rk_.norm_fwd(x32, mean, a.w + own, a.b ? a.b + own : nullptr, rstd, n, a.accumulate ? DType::f32 : y.dtype, a.accumulate ? y32 : static_cast<void*>(y.row(m)), nullptr);
      if (a.accumulate) rk_.add_scaled(y32, n, DType::f32, 1.f, reinterpret_cast<float*>(y.row(m)));
    }
  });
}

void CpuBackend::do_inner_norm_bwd(const InnerNormBwdArgs& a) {
  const int64_t per_group = a.heads / a.groups, n = a.dim;
  for_rows(a.x.mat.rows, a.heads * n, [&](int64_t m) {
    thread_local std::vector<float> rows;
    rows.resize(size_t(3 * n));
    float *const dy32 = rows.data(), *const dx32 = dy32 + n, *const x32 = dx32 + n;
    for (int64_t h = 0; h < a.heads; h++) {
      const int64_t g = h / per_group, j = h % per_group;
      const Mat dy = a.dy.head(g, j, n), x = a.x.head(g, j, n), dx = a.dx.head(g, j, n);
      rk_.widen(dy.row(m), dy.dtype, n, dy32);
      std::fill_n(dx32, n, 0.f);
      const float* const w = a.w + (a.each ? h * n : 0);
      if (a.centred) {
        rk_.widen(x.row(m), x.dtype, n, x32);
        const float mean = float(rk_.sum(x32, n) / double(n));
        for (int64_t i = 0; i < n; i++) x32[i] -= mean;
        rk_.norm_bwd(dy32, x32, w, a.rstd[m * a.heads + h], true, n, DType::f32, dx32, nullptr);
      } else {
        rk_.norm_bwd(dy32, x.row(m), w, a.rstd[m * a.heads + h], false, n, x.dtype, dx32, nullptr);
      }
      rk_.narrow(dx32, n, dx.dtype, dx.row(m));
    }
  });
}

void CpuBackend::do_rope(const RopeArgs& a) {
  // Heads at one distance from each other are one run: all but the query heads of groups that lie apart.
  const int64_t per_group = a.heads / a.groups, half = a.rotary_dim / 2;
  const bool even = per_group == 1 || a.x.group_stride == per_group * a.x.head_stride;
  const int64_t runs = even ? 1 : a.groups, stride = per_group == 1 ? a.x.group_stride : a.x.head_stride;
  for_rows(a.x.mat.rows, a.heads * a.head_dim, [&](int64_t m) {
    const int64_t at = a.positions[m] * half;
    for (int64_t run = 0; run < runs; run++) {
      void* const first = a.x.mat.row(m) + a.x.column(run, 0) * dtype_bytes(a.x.mat.dtype);
      const auto turn = a.interleaved ? rk_.rope_interleaved : rk_.rope;
      turn(first, a.cos + at, a.sin + at, a.heads / runs, a.rotary_dim, stride, a.inverse ? -1.f : 1.f, a.x.mat.dtype);
    }
  });
}

void CpuBackend::do_glu_fwd(const GluFwdArgs& a) {
  for_rows(a.g.rows, a.g.cols, [&](int64_t m) { rk_.glu_fwd(a.f, a.g.row(m), a.u ? a.u.row(m) : nullptr, a.g.cols, a.g.dtype, a.a.row(m)); });
}

void CpuBackend::do_glu_bwd(const GluBwdArgs& a) {
  for_rows(a.g.rows, a.g.cols, [&](int64_t m) {
    rk_.glu_bwd(a.f, a.da.row(m), a.g.row(m), a.u ? a.u.row(m) : nullptr, a.g.cols, a.g.dtype, a.dg.row(m), a.u ? a.du.row(m) : nullptr);
  });
}

void CpuBackend::do_soft_cap(const SoftCapArgs& a) {
  for_rows(a.x.rows, a.x.cols, [&](int64_t m) { rk_.soft_cap(a.x.row(m), a.x.cols, DType::f32, 1.f, a.cap); });
}

void CpuBackend::do_zero(const ZeroArgs& a) {
  for (int64_t r = 0; r < a.x.rows; r++) std::memset(a.x.row(r), 0, size_t(a.x.cols * dtype_bytes(a.x.dtype)));
}

void CpuBackend::do_cast(const CastArgs& a) {
  const auto& [src, dst, factor, accumulate] = a;
  for_rows(src.rows, src.cols, [&](int64_t m) {
    if (accumulate) return rk_.add_scaled(src.row(m), src.cols, src.dtype, factor, reinterpret_cast<float*>(dst.row(m)));
    if (factor != 1.f) return rk_.multiply(src.row(m), src.dtype, src.cols, factor, dst.dtype, dst.row(m));
    if (src.dtype == dst.dtype) std::memcpy(dst.row(m), src.row(m), size_t(src.cols * dtype_bytes(src.dtype)));
    else if (src.dtype == DType::f32) rk_.narrow(reinterpret_cast<const float*>(src.row(m)), src.cols, dst.dtype, dst.row(m));
    else rk_.widen(src.row(m), src.dtype, src.cols, reinterpret_cast<float*>(dst.row(m)));
  });
}

void CpuBackend::do_gather_rows(const GatherArgs& a) {
  const auto& [src, rows, dst] = a;
  for_rows(dst.rows, dst.cols, [&](int64_t i) { std::memcpy(dst.row(i), src.row(rows[i]), size_t(dst.cols * dtype_bytes(dst.dtype))); });
}

void CpuBackend::do_scatter_rows(const ScatterArgs& a) {
  const auto& [src, rows, dst] = a;
  for_rows(src.rows, src.cols, [&](int64_t i) { std::memcpy(dst.row(rows[i]), src.row(i), size_t(src.cols * dtype_bytes(src.dtype))); });
}

}  // namespace lowrank::cpu
