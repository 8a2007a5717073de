// LLM.int8 beside its products of codes: the outliers, the codes, and the products of the outliers' columns, which are few.
#include "cuda/kernels.h"
#include "cuda/wide.h"

namespace lowrank::cuda::kernels {

namespace {

__device__ float half_of(float x) { return f16_to_f32(f32_to_f16(x)); }

__global__ void __launch_bounds__(kThreads, 1) outliers_kernel(Mat x, float threshold, Outliers found) {
  LOWRANK_SHARED(float, parts, kWarp);
  const int64_t m = blockIdx.x;
  float most = 0;
  for (int64_t i = threadIdx.x; i < x.cols; i += blockDim.x) {
    const float magnitude = fabsf(half_of(x.get(m, i)));
    if (magnitude < threshold) most = larger(most, magnitude);
    else *static_cast<volatile int32_t*>(found.is_outlier + i) = 1;  // whichever block comes last
  }
  most = block_max(most, parts);
  if (threadIdx.x == 0) found.maxima[m] = most;
}

// One block: each thread has a part of the columns, and writes behind those of the threads before it.
__global__ void __launch_bounds__(kThreads, 1) outlier_columns_kernel(Outliers found, int64_t n) {
  LOWRANK_SHARED(int32_t, counts, kThreads);
  const int64_t part = (n + kThreads - 1) / kThreads, first = int64_t(threadIdx.x) * part, end = first + part < n ? first + part : n;
  int32_t own = 0;
  for (int64_t i = first; i < end; i++) own += found.is_outlier[i];
  counts[threadIdx.x] = own;
  __syncthreads();
  int32_t at = 0;
  for (unsigned i = 0; i < threadIdx.x; i++) at += counts[i];
  if (threadIdx.x + 1 == blockDim.x) found.columns[n] = at + own;
  for (int64_t i = first; i < end; i++) {
    if (found.is_outlier[i]) found.columns[at++] = int32_t(i);
  }
}

template <int N>
__global__ void __launch_bounds__(kThreads, 1) codes_kernel(Mat x, const float* maxima, const int32_t* is_outlier, int8_t* codes) {
  const int64_t m = blockIdx.x;
  const float factor = int8_factor(maxima[m]);
  float v[N];
  int32_t leaves[N];
  for (int64_t i = first_element<N>(); i < x.cols; i += element_step<N>()) {
    read(x, m, i, v);
    read(is_outlier + i, leaves);
    uint64_t bytes = 0;
    for (int k = 0; k < N; k++) bytes |= uint64_t(uint8_t(int8_t(leaves[k] ? 0 : rintf(half_of(v[k]) * factor)))) << (8 * k);
    if constexpr (N == 1) codes[m * x.cols + i] = int8_t(bytes);
    else *reinterpret_cast<uint64_t*>(codes + m * x.cols + i) = bytes;
  }
}

__global__ void __launch_bounds__(kThreads, 1) some_columns_kernel(Mat x, const int32_t* columns, Mat some) {
  const int64_t m = blockIdx.x, count = columns[x.cols];
  for (int64_t j = threadIdx.x; j < count; j += blockDim.x) some.set(j, m, x.get(m, columns[j]));
}

__global__ void __launch_bounds__(kThreads, 1) some_weights_kernel(Weight w, int64_t first, const int32_t* columns, Mat some) {
  const int64_t o = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, count = columns[w.cols];
  if (o >= some.cols) return;
  const int8_t* const row = static_cast<const int8_t*>(w.data) + (first + o) * w.cols;
  const float maximum = static_cast<const float*>(w.absmax)[first + o];
  for (int64_t j = 0; j < count; j++) some.set(j, o, float(row[columns[j]]) * maximum * kInt8Step);
}

constexpr int kTogether = 2 * kWide;  // rows of x that a thread takes

__global__ void __launch_bounds__(kThreads, 1) outlier_product_kernel(Mat x, Mat w, const int32_t* count, Mat sums) {
  const int64_t o = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, first = int64_t(blockIdx.y) * kTogether;
  if (o >= sums.cols) return;
  float sum[kTogether / kWide][kWide] = {}, v[kWide];
  for (int64_t j = 0; j < *count; j++) {
    const float weight = w.get(j, o);
#pragma unroll
    for (int part = 0; part < kTogether / kWide; part++) {
      read(x, j, first + part * kWide, v);
      for (int k = 0; k < kWide; k++) sum[part][k] += v[k] * weight;
    }
  }
#pragma unroll
  for (int i = 0; i < kTogether; i++) {
    if (first + i < sums.rows) sums.set(first + i, o, sum[i / kWide][i % kWide]);
  }
}

__global__ void __launch_bounds__(kThreads, 1) code_product_kernel(CodeProduct p) {
  const int64_t m = blockIdx.x;
  for (int64_t n = first_column(); n < p.n; n += column_step()) {
    int32_t sum = 0;
    for (int64_t k = 0; k < p.k; k++) sum += int32_t(p.a[m * p.k + k]) * int32_t(p.b[n * p.k + k]);
    p.c[m * p.n + n] = sum;
  }
}

unsigned in_blocks(int64_t n, int64_t size) { return unsigned((n + size - 1) / size); }

}  // namespace

void find_outliers(const Mat& x, float threshold, const Outliers& found, Stream stream) {
  LOWRANK_LAUNCH(outliers_kernel, (unsigned(x.rows)), kThreads, stream, x, threshold, found);
  LOWRANK_LAUNCH(outlier_columns_kernel, (1), kThreads, stream, found, x.cols);
}
void round_to_codes(const Mat& x, const float* maxima, const Outliers& found, int8_t* codes, const Mat& some, Stream stream) {
  LOWRANK_LAUNCH_WIDE_ELEMENTS(is_wide(x) && is_wide(codes), codes_kernel, x, stream, x, maxima, found.is_outlier, codes);
  LOWRANK_LAUNCH(some_columns_kernel, (unsigned(x.rows)), kThreads, stream, x, found.columns, some);
}
void add_up_outliers(const Mat& some, const Weight& w, int64_t first, const Outliers& found, const Mat& weights, const Mat& sums, Stream stream) {
  LOWRANK_LAUNCH(some_weights_kernel, (in_blocks(sums.cols, kThreads)), kThreads, stream, w, first, found.columns, weights);
  LOWRANK_LAUNCH(outlier_product_kernel, (in_blocks(sums.cols, kThreads), in_blocks(sums.rows, kTogether)), kThreads, stream, some, weights, found.columns + w.cols, sums);
}
void code_product(const CodeProduct& p, Stream stream) {
  LOWRANK_LAUNCH(code_product_kernel, (unsigned(p.m), column_parts(p.m, p.n)), kThreads, stream, p);
}

}  // namespace lowrank::cuda::kernels
