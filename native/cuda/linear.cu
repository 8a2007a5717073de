// The parts of linears beside their products.
#include "cuda/kernels.h"
#include "cuda/wide.h"

namespace lowrank::cuda::kernels {

namespace {

// Of the mask's matrix, of x.cols columns.
__device__ uint64_t mask_index(const Mat& x, int64_t first, int64_t m, int64_t i) { return uint64_t((first + m) * x.cols + i); }

template <int N>
__global__ void __launch_bounds__(kThreads, 1) dropout_kernel(Mat x, Mat out, Dropout dropout, int64_t first) {
  const int64_t m = blockIdx.x;
  const Dropout d = dropout.now();
  const float kept = 1.f / (1.f - d.p);
  float v[N];
  bool keeps[N];
  for (int64_t i = first_element<N>(); i < x.cols; i += element_step<N>()) {
    read(x, m, i, v);
    read(d, mask_index(x, first, m, i), keeps);
    for (int k = 0; k < N; k++) v[k] = keeps[k] ? v[k] * kept : 0;
    write(out, m, i, v);
  }
}

template <int N>
__global__ void __launch_bounds__(kThreads, 1) add_masked_kernel(Mat x, Mat sums, Dropout dropout, int64_t first) {
  const int64_t m = blockIdx.x;
  const Dropout d = dropout.now();
  const float kept = 1.f / (1.f - d.p);
  float v[N], sum[N];
  bool keeps[N];
  for (int64_t i = first_element<N>(); i < x.cols; i += element_step<N>()) {
    read(x, m, i, v);
    read(sums, m, i, sum);
    read(d, mask_index(x, first, m, i), keeps);
    for (int k = 0; k < N; k++) sum[k] = keeps[k] ? sum[k] + v[k] * kept : sum[k];
    write(sums, m, i, sum);
  }
}

template <int N>
__global__ void __launch_bounds__(kThreads, 1) pad_columns_kernel(Mat from, Mat to) {
  const int64_t m = blockIdx.x;
  for (int64_t c = first_element<N>(); c < to.cols; c += element_step<N>()) {
    float v[N] = {};
    if (c < from.cols) read(from, m, c, v);
    write(to, m, c, v);
  }
}

template <int N>
__global__ void __launch_bounds__(kThreads, 1) finish_kernel(Finish f) {
  const int64_t m = blockIdx.x;
  float sum[N], part[N], other[N];
  int32_t codes[N];
  for (int64_t o = first_element<N>(); o < f.y.cols; o += element_step<N>()) {
    read(f.sums, m, o, sum);
    if (f.code_sums) {
      read(f.code_sums + m * f.y.cols + o, codes);
      read(f.absmax + o, other);
      for (int k = 0; k < N; k++) sum[k] += float(codes[k]) * (other[k] * (f.maxima[m] * kInt8ProductStep));
    }
    if (f.bias) {
      read(f.bias + o, part);
      for (int k = 0; k < N; k++) sum[k] += part[k];
    }
    if (f.accumulate) {
      read(f.y, m, o, part);
      for (int k = 0; k < N; k++) sum[k] += part[k];
    }
    write(f.y, m, o, sum);
  }
}

}  // namespace

void dropout(const Mat& x, const Mat& out, const Dropout& d, int64_t first, Stream stream) {
  LOWRANK_LAUNCH_WIDE_ELEMENTS(all_wide(x, out), dropout_kernel, x, stream, x, out, d, first);
}
void add_masked(const Mat& x, const Mat& sums, const Dropout& d, int64_t first, Stream stream) {
  LOWRANK_LAUNCH_WIDE_ELEMENTS(all_wide(x, sums), add_masked_kernel, x, stream, x, sums, d, first);
}
void pad_columns(const Mat& from, const Mat& to, Stream stream) {
  LOWRANK_LAUNCH_WIDE_ELEMENTS(all_wide(from, to), pad_columns_kernel, to, stream, from, to);
}
void finish(const Finish& f, Stream stream) {
  LOWRANK_LAUNCH_WIDE_ELEMENTS(all_wide(f.sums, f.y, f.bias, f.code_sums, f.absmax), finish_kernel, f.y, stream, f);
}

}  // namespace lowrank::cuda::kernels
