// Operations on single elements, and sums of columns.
#include "cuda/kernels.h"
#include "cuda/wide.h"

namespace lowrank::cuda::kernels {

namespace {

template <int N>
__global__ void __launch_bounds__(kThreads, 1) mask_kernel(DropoutArgs a) {
  const int64_t m = blockIdx.x;
  const Dropout dropout = a.dropout.now();
  const float p = dropout.p, kept = a.rest ? -p / (1.f - p) : 1.f / (1.f - p), dropped = a.rest ? 1.f : 0.f;
  float x[N], y[N] = {};
  bool keeps[N];
  for (int64_t c = first_element<N>(); c < a.y.cols; c += element_step<N>()) {
    read(a.x, m, c, x);
    if (a.accumulate) read(a.y, m, c, y);
    read(dropout, uint64_t(m * a.x.cols + c), keeps);
    for (int k = 0; k < N; k++) {
      const float v = x[k] * (keeps[k] ? kept : dropped);
      y[k] = a.accumulate ? y[k] + v : v;
    }
    write(a.y, m, c, y);
  }
}

__global__ void __launch_bounds__(kThreads, 1) columns_fwd_kernel(ColumnsFwdArgs a) {
  const int64_t m = blockIdx.x;
  for (int64_t o = first_column(); o < a.y.cols; o += column_step()) {
    float sum = a.accumulate ? a.y.get(m, o) : 0;
    if (a.z) sum += a.factor[o] * a.z.get(m, o);
    if (a.bias) sum += a.bias_scale * a.bias[o];
    a.y.set(m, o, sum);
  }
}

// A warp takes 32 columns, and each warp of the block every fourth row of them. Sums are in f64: they are few.
__global__ void __launch_bounds__(kThreads, 1) columns_bwd_kernel(ColumnsBwdArgs a) {
  LOWRANK_SHARED(double, sums, kThreads);
  LOWRANK_SHARED(double, products, kThreads);
  const unsigned warps = blockDim.x / kWarp, lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t o = int64_t(blockIdx.x) * kWarp + lane;
  double sum = 0, product = 0;
  for (int64_t m = warp; o < a.dy.cols && m < a.dy.rows; m += warps) {
    const float dy = a.dy.get(m, o);
    sum += double(dy);
    if (!a.z) continue;
    product += double(dy) * double(a.z.get(m, o));
    a.z.set(m, o, a.factor[o] * dy);
  }
  sums[threadIdx.x] = sum;
  products[threadIdx.x] = product;
  __syncthreads();
  if (warp > 0 || o >= a.dy.cols) return;
  for (unsigned w = 1; w < warps; w++) {
    sum += sums[w * kWarp + lane];
    product += products[w * kWarp + lane];
  }
  if (a.z) a.dmagnitude[o] = float(double(a.dmagnitude[o]) + product / double(a.norm[o]));
  if (a.dbias) a.dbias[o] = float(double(a.dbias[o]) + double(a.bias_scale) * sum);
}

// A thread takes a column, so that each element's sum has the order of the rows.
__global__ void __launch_bounds__(kThreads, 1) embedding_bwd_kernel(EmbeddingBwdArgs a) {
  const int64_t c = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= a.dx.cols) return;
  for (int64_t m = 0; m < a.dx.rows; m++) a.dtable.set(a.ids[m], c, a.dtable.get(a.ids[m], c) + a.scale * a.dx.get(m, c));
}

__global__ void __launch_bounds__(kThreads, 1) add_noise_kernel(NoiseArgs args) {
  const int64_t m = blockIdx.x;
  const NoiseArgs a = args.now();
  for (int64_t c = first_column(); c < a.x.cols; c += column_step()) {
    const uint64_t j = a.offset + uint64_t(m * a.x.cols + c);
    a.x.set(m, c, a.x.get(m, c) + a.size * (2 * uniform01(philox_word(a.seed, a.stream, j)) - 1));
  }
}

// A block takes the heads of a row, a thread N neighbouring pairs of a head. N > 1 where the pairs lie half a head apart.
template <int N>
__global__ void __launch_bounds__(kThreads, 1) rope_kernel(RopeArgs a) {
  const int64_t m = blockIdx.x, per_group = a.heads / a.groups, half = a.rotary_dim / 2, row = a.positions[m] * half;
  const unsigned of_head = unsigned(half / N), all = unsigned(a.heads) * of_head;
  float c[N], s[N], low[N], high[N], turned[N];
  for (unsigned t = threadIdx.x; t < all; t += blockDim.x) {
    const int64_t h = t / of_head, i = t % of_head * N, column = a.x.column(h / per_group, h % per_group);
    const int64_t one = column + (a.interleaved ? 2 * i : i), other = column + (a.interleaved ? 2 * i + 1 : i + half);
    read(a.cos + row + i, c);
    read(a.sin + row + i, s);
    read(a.x.mat, m, one, low);
    read(a.x.mat, m, other, high);
    for (int k = 0; k < N; k++) {
      s[k] = a.inverse ? -s[k] : s[k];
      turned[k] = low[k] * c[k] - high[k] * s[k];
      high[k] = high[k] * c[k] + low[k] * s[k];
    }
    write(a.x.mat, m, one, turned);
    write(a.x.mat, m, other, high);
  }
}
bool turns_wide(const RopeArgs& a) {
  const Mat& x = a.x.mat;
  const bool is_even = (a.rotary_dim / 2) % kWide == 0 && a.x.offset % kWide == 0 && a.x.group_stride % kWide == 0 && a.x.head_stride % kWide == 0;
  return is_even && !a.interleaved && is_wide(x.data) && x.ld * dtype_bytes(x.dtype) % 16 == 0 && all_wide(a.cos, a.sin);
}

struct ActivationAt {
  float value, slope;
};
// f(x) and f'(x), as the twin's.
__device__ ActivationAt activation_at(Activation f, float x) {
  constexpr float kTwiceRoot = 1.5957691216057308f;  // 2 sqrt(2 / pi)
  switch (f) {
    case Activation::gelu: {
      const float phi = erfcf(-x * 0.70710678118654752f) / 2;
      return {x * phi, phi + x * expf(-x * x / 2) * 0.39894228040143268f};
    }
    case Activation::relu: return {x > 0 ? x : 0, x > 0 ? 1.f : 0.f};
    case Activation::silu:
    case Activation::gelu_tanh: break;
  }
  // x s with a sigmoid s of z
  const bool gelu = f == Activation::gelu_tanh;
  const float z = gelu ? kTwiceRoot * (x + 0.044715f * x * x * x) : x, slope = gelu ? kTwiceRoot * (1 + 3 * 0.044715f * x * x) : 1;
  const float s = 1 / (1 + expf(-z)), rest = 1 / (1 + expf(z));
  return {x * s, s + x * s * rest * slope};
}

template <int N>
__global__ void __launch_bounds__(kThreads, 1) glu_fwd_kernel(GluFwdArgs a) {
  const int64_t m = blockIdx.x;
  float g[N], u[N];
  for (int64_t c = first_element<N>(); c < a.g.cols; c += element_step<N>()) {
    read(a.g, m, c, g);
    if (a.u) read(a.u, m, c, u);
    for (int k = 0; k < N; k++) g[k] = activation_at(a.f, g[k]).value * (a.u ? u[k] : 1);
    write(a.a, m, c, g);
  }
}

template <int N>
__global__ void __launch_bounds__(kThreads, 1) glu_bwd_kernel(GluBwdArgs a) {
  const int64_t m = blockIdx.x;
  float da[N], g[N], u[N];
  for (int64_t c = first_element<N>(); c < a.g.cols; c += element_step<N>()) {
    read(a.da, m, c, da);
    read(a.g, m, c, g);
    if (a.u) read(a.u, m, c, u);
    for (int k = 0; k < N; k++) {
      const ActivationAt f = activation_at(a.f, g[k]);
      g[k] = da[k] * (a.u ? u[k] : 1) * f.slope;
      u[k] = da[k] * f.value;
    }
    write(a.dg, m, c, g);
    if (a.u) write(a.du, m, c, u);
  }
}

__global__ void __launch_bounds__(kThreads, 1) soft_cap_kernel(SoftCapArgs a) {
  const int64_t m = blockIdx.x;
  for (int64_t c = first_column(); c < a.x.cols; c += column_step()) a.x.set(m, c, a.cap * tanhf(a.x.get(m, c) / a.cap));
}

__global__ void __launch_bounds__(kThreads, 1) zero_kernel(ZeroArgs a) {
  const int64_t m = blockIdx.x;
  for (int64_t c = first_column(); c < a.x.cols; c += column_step()) a.x.set(m, c, 0);
}

template <int N>
__global__ void __launch_bounds__(kThreads, 1) cast_kernel(CastArgs a) {
  const int64_t m = blockIdx.x;
  float v[N], before[N] = {};
  for (int64_t c = first_element<N>(); c < a.src.cols; c += element_step<N>()) {
    read(a.src, m, c, v);
    if (a.accumulate) read(a.dst, m, c, before);
    for (int k = 0; k < N; k++) v[k] = a.accumulate ? before[k] + a.factor * v[k] : a.factor * v[k];
    write(a.dst, m, c, v);
  }
}

__global__ void __launch_bounds__(kThreads, 1) gather_kernel(GatherArgs a) {
  const int64_t m = blockIdx.x;
  for (int64_t c = first_column(); c < a.dst.cols; c += column_step()) a.dst.set(m, c, a.src.get(a.rows[m], c));
}

__global__ void __launch_bounds__(kThreads, 1) scatter_kernel(ScatterArgs a) {
  const int64_t m = blockIdx.x;
  for (int64_t c = first_column(); c < a.src.cols; c += column_step()) a.dst.set(a.rows[m], c, a.src.get(m, c));
}

}  // namespace

void dropout(const DropoutArgs& a, Stream stream) { LOWRANK_LAUNCH_WIDE_ELEMENTS(all_wide(a.x, a.y), mask_kernel, a.y, stream, a); }
void columns_fwd(const ColumnsFwdArgs& a, Stream stream) { LOWRANK_LAUNCH_ELEMENTS(columns_fwd_kernel, a.y, stream, a); }
void columns_bwd(const ColumnsBwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH(columns_bwd_kernel, (unsigned((a.dy.cols + kWarp - 1) / kWarp)), kThreads, stream, a);
}
void embedding_bwd(const EmbeddingBwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH(embedding_bwd_kernel, (unsigned((a.dx.cols + kThreads - 1) / kThreads)), kThreads, stream, a);
}
void add_noise(const NoiseArgs& a, Stream stream) { LOWRANK_LAUNCH_ELEMENTS(add_noise_kernel, a.x, stream, a); }
void rope(const RopeArgs& a, Stream stream) { LOWRANK_LAUNCH_WIDE_ROWS(turns_wide(a), rope_kernel, a.x.mat.rows, stream, a); }
void glu_fwd(const GluFwdArgs& a, Stream stream) { LOWRANK_LAUNCH_WIDE_ELEMENTS(all_wide(a.g, a.u, a.a), glu_fwd_kernel, a.g, stream, a); }
void glu_bwd(const GluBwdArgs& a, Stream stream) { LOWRANK_LAUNCH_WIDE_ELEMENTS(all_wide(a.da, a.g, a.u, a.dg, a.du), glu_bwd_kernel, a.g, stream, a); }
void soft_cap(const SoftCapArgs& a, Stream stream) { LOWRANK_LAUNCH_ELEMENTS(soft_cap_kernel, a.x, stream, a); }
void zero(const ZeroArgs& a, Stream stream) { LOWRANK_LAUNCH_ELEMENTS(zero_kernel, a.x, stream, a); }
void cast(const CastArgs& a, Stream stream) { LOWRANK_LAUNCH_WIDE_ELEMENTS(all_wide(a.src, a.dst), cast_kernel, a.src, stream, a); }
void gather_rows(const GatherArgs& a, Stream stream) { LOWRANK_LAUNCH_ELEMENTS(gather_kernel, a.dst, stream, a); }
void scatter_rows(const ScatterArgs& a, Stream stream) { LOWRANK_LAUNCH_ELEMENTS(scatter_kernel, a.src, stream, a); }

}  // namespace lowrank::cuda::kernels
