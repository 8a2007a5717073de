// Products of a few rows, of texts that are generated, with weights in codes: decoded in registers and multiplied on tensor cores, so that a weight is
// read once, as it is stored. Compiled without fused multiply-adds (quant/element.h).
#include "cuda/decoding.h"
#include "cuda/tensor_core.h"

namespace lowrank::cuda::kernels {

namespace {

constexpr int kProductWarps = 8, kProductThreads = kProductWarps * int(kWarp);
constexpr int kRows = 16;             // of x, and of the weight that a block takes
constexpr int kGroups = kRows / 8;    // a product of 16 x 8 each
constexpr int kColumns = 4 * 4 * kWide;  // that a warp takes at a time: four lanes of a row, each of four runs of kWide

// A block takes kRows rows of the weight; its warps take turns along the sum, and their parts are added in the warps' order. The order of the columns
// within a product is the lanes' own, the same for both operands, so that a lane's columns follow one another.
template <Format kFormat>
__global__ void __launch_bounds__(kProductThreads, 1) few_rows_kernel(Mat x, Stored s, int64_t first, Mat y, bool accumulates) {
  LOWRANK_SHARED(float, parts, kProductWarps * kRows * kRows);
  const int lane = int(threadIdx.x % kWarp), warp = int(threadIdx.x / kWarp), row = lane / 4, part = lane % 4;
  const int64_t o = int64_t(blockIdx.x) * kRows;
  float sums[kGroups][4] = {};
  for (int64_t begin = int64_t(warp) * kColumns; begin < x.cols; begin += kProductWarps * kColumns) {
    for (int run = 0; run < 4; run++) {
      const int64_t c = begin + (part * 4 + run) * kWide;
      const bool inside = c < x.cols;
      Line low = {}, high = {};
      if (inside && row < x.rows) low = *reinterpret_cast<const Line*>(x.row(row) + 2 * c);
      if (inside && row + 8 < x.rows) high = *reinterpret_cast<const Line*>(x.row(row + 8) + 2 * c);
      const Bf16Pair before[4] = {low.words[0], high.words[0], low.words[1], high.words[1]}, behind[4] = {low.words[2], high.words[2], low.words[3], high.words[3]};
#pragma unroll
      for (int group = 0; group < kGroups; group++) {
        const int64_t r = o + group * 8 + row;
        float v[kWide] = {};
        if (inside && r < y.cols) elements_as<kFormat>(s, s.w.source_row(first + r), c, v);
        multiply_add(sums[group], before, pair_of(v[0], v[1]), pair_of(v[2], v[3]));
        multiply_add(sums[group], behind, pair_of(v[4], v[5]), pair_of(v[6], v[7]));
      }
    }
  }
  // (row of x, row of the weight) of each warp
  for (int group = 0; group < kGroups; group++) {
    for (int i = 0; i < 4; i++) parts[(warp * kRows + row + i / 2 * 8) * kRows + group * 8 + 2 * part + i % 2] = sums[group][i];
  }
  __syncthreads();
  const int64_t m = threadIdx.x / kRows, n = o + threadIdx.x % kRows;
  if (m >= x.rows || n >= y.cols) return;
  float sum = 0;
  for (int w = 0; w < kProductWarps; w++) sum += parts[w * kRows * kRows + int(threadIdx.x)];
  y.set(m, n, accumulates ? y.get(m, n) + sum : sum);
}

}  // namespace

bool takes_few_rows(const Mat& x, const Weight& w) {
  return x.rows <= kRows && x.dtype == DType::bf16 && !is_plain(w.format) && reads_wide(w) && is_wide(x);
}

void few_rows(const Mat& x, const Weight& w, int64_t first, const Mat& y, bool accumulates, const Tables& tables, Stream stream) {
  const Stored s = stored(w, tables);
  with_format(w.format, [&](auto format) {
    if constexpr (!is_plain(format())) {
      LOWRANK_LAUNCH(few_rows_kernel<format()>, (unsigned((y.cols + kRows - 1) / kRows)), kProductThreads, stream, x, s, first, y, accumulates);
    }
  });
}

}  // namespace lowrank::cuda::kernels
