// Losses, and the layers of classifiers.
#include "cuda/kernels.h"
#include "cuda/wide.h"

namespace lowrank::cuda::kernels {

namespace {

__device__ double scale_of(double loss_scale, const double* dynamic_scale, const Varying* varying) {
  return loss_scale * (varying ? varying->loss_scale : 1) * (dynamic_scale ? *dynamic_scale : 1);
}

// v = logits [c, c + N) of row n as the loss sees them
template <int N>
__device__ __forceinline__ void read_logits(const CrossEntropy& a, int64_t n, int64_t c, float (&v)[N]) {
  read(a.logits, n, c, v);
  if (a.bias) {
    float bias[N];
    read(a.bias + c, bias);
    for (int k = 0; k < N; k++) v[k] += bias[k];
  }
  if (a.soft_cap > 0) {
    for (int k = 0; k < N; k++) v[k] = a.soft_cap * tanhf(v[k] / a.soft_cap);
  }
}

// A block takes a row: it reads the logits once for the loss, and once more for the gradient.
template <int N>
__global__ void __launch_bounds__(kThreads, 1) cross_entropy_kernel(CrossEntropy a) {
  LOWRANK_SHARED(float, parts, kWarp);
  const int64_t n = blockIdx.x, vocab = a.logits.cols, label = a.labels[n], first = int64_t(threadIdx.x) * N, step = int64_t(blockDim.x) * N;
  float v[N], own_top = -INFINITY, own_sum = 0;
  for (int64_t c = first; c < vocab; c += step) {
    read_logits(a, n, c, v);
    float top = own_top;
    for (int k = 0; k < N; k++) top = larger(top, v[k]);
    if (top == -INFINITY) continue;
    own_sum *= expf(own_top - top);
    for (int k = 0; k < N; k++) own_sum += expf(v[k] - top);
    own_top = top;
  }
  const float top = block_max(own_top, parts), rest = logf(block_sum(own_sum == 0 ? 0 : own_sum * expf(own_top - top), parts));
  if (threadIdx.x == 0) {
    float logit[1];
    read_logits(a, n, label, logit);
    a.losses[n] = double(top) - double(logit[0]) + double(rest);
  }
  if (!a.gradient) return;
  __syncthreads();
  const float scale = float(scale_of(a.loss_scale, a.dynamic_scale, a.varying)), cap = a.soft_cap;
  for (int64_t c = first; c < vocab; c += step) {
    read_logits(a, n, c, v);
    for (int k = 0; k < N; k++) {
      const float p = (v[k] - top) - rest, share = cap > 0 ? v[k] / cap : 0;
      // softmax - 1 without losing the digits that the difference has
      v[k] = scale * (1 - share * share) * (c + k == label ? expm1f(p) : expf(p));
    }
    write(a.logits, n, c, v);
  }
}

__global__ void __launch_bounds__(kThreads, 1) add_up_kernel(const double* values, int64_t n, double* sum) {
  LOWRANK_SHARED(double, parts, kWarp);
  double own = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) own += values[i];
  own = block_sum(own, parts);
  if (threadIdx.x == 0) *sum += own;
}

__device__ float dropped(const Dropout& d, float x, int64_t i) {
  if (!d.active()) return x;
  return d.keep(uint64_t(i)) ? x * (1.f / (1.f - d.p)) : 0;
}

__device__ float applied(HeadFunction f, float x) { return f == HeadFunction::tanh ? tanhf(x) : f == HeadFunction::relu ? larger(x, 0.f) : x; }
__device__ float slope(HeadFunction f, float x) {
  const float y = applied(f, x);
  return f == HeadFunction::tanh ? 1 - y * y : f == HeadFunction::relu ? (y > 0 ? 1 : 0) : 1;
}

__global__ void __launch_bounds__(kThreads, 1) dense_input_kernel(DenseFwdArgs a) {
  const int64_t n = blockIdx.x;
  const Dropout dropout = a.dropout.now();
  for (int64_t i = first_column(); i < a.x.cols; i += column_step()) a.d.set(n, i, dropped(dropout, applied(a.f, a.x.get(n, i)), n * a.x.cols + i));
}

__global__ void __launch_bounds__(kThreads, 1) dense_fwd_kernel(DenseFwdArgs a) {
  const int64_t n = blockIdx.x, in = a.x.cols;
  for (int64_t o = first_column(); o < a.y.cols; o += column_step()) {
    float z = a.bias ? a.bias[o] : 0;
    for (int64_t i = 0; i < in; i++) z += a.d.get(n, i) * a.w[o * in + i];
    a.y.set(n, o, z);
  }
}

__global__ void __launch_bounds__(kThreads, 1) dense_dx_kernel(DenseBwdArgs a) {
  const int64_t n = blockIdx.x, in = a.d.cols;
  const Dropout dropout = a.dropout.now();
  for (int64_t i = first_column(); i < in; i += column_step()) {
    float sum = 0;
    for (int64_t o = 0; o < a.dy.cols; o++) sum += a.dy.get(n, o) * a.w[o * in + i];
    a.dx.set(n, i, slope(a.f, a.x.get(n, i)) * dropped(dropout, sum, n * in + i));
  }
}

__global__ void __launch_bounds__(kThreads, 1) dense_dw_kernel(DenseBwdArgs a) {
  const int64_t o = blockIdx.x, in = a.d.cols;
  for (int64_t i = first_column(); i < in; i += column_step()) {
    float sum = a.dw[o * in + i];
    for (int64_t n = 0; n < a.d.rows; n++) sum += a.dy.get(n, o) * a.d.get(n, i);
    a.dw[o * in + i] = sum;
  }
  if (!a.dbias || first_column() > 0) return;
  for (int64_t n = 0; n < a.d.rows; n++) a.dbias[o] += a.dy.get(n, o);
}

// log(1 + e^x) without overflow
__device__ double softplus(double x) { return larger(x, 0.0) + log1p(exp(-fabs(x))); }

// One block, a thread a row: there are as many rows as texts. In f64, as few numbers cost nothing.
__global__ void __launch_bounds__(kThreads, 1) label_loss_kernel(LabelLossArgs a) {
  LOWRANK_SHARED(double, parts, kWarp);
  const int64_t classes = a.logits.cols;
  const double scale = scale_of(a.loss_scale, a.dynamic_scale, a.varying);
  double loss = 0;
  for (int64_t n = threadIdx.x; n < a.logits.rows; n += blockDim.x) {
    float top = -INFINITY;
    double sum = 0;
    for (int64_t k = 0; k < classes; k++) top = larger(top, a.logits.get(n, k));
    for (int64_t k = 0; k < classes; k++) sum += exp(double(a.logits.get(n, k)) - double(top));
    const double lse = double(top) + log(sum);
    for (int64_t k = 0; k < classes; k++) {
      const double z = double(a.logits.get(n, k));
      double slope = 0;
      if (a.loss == LabelLoss::single_label_classification) {
        const bool is_label = k == int64_t(a.labels[n]);
        if (is_label) loss += lse - z;
        slope = is_label ? expm1(z - lse) : exp(z - lse);
      } else if (a.loss == LabelLoss::regression) {
        const double off = z - double(a.labels[n * classes + k]);
        loss += off * off;
        slope = 2 * off;
      } else {
        const double t = double(a.labels[n * classes + k]);
        loss += t * softplus(-z) + (1 - t) * softplus(z);
        slope = 1 / (1 + exp(-z)) - t;
      }
      if (a.gradient) a.logits.set(n, k, float(scale * slope));
    }
  }
  loss = block_sum(loss, parts);
  if (threadIdx.x == 0) *a.loss_sum += loss;
}

}  // namespace

void cross_entropy(const CrossEntropy& a, Stream stream) {
  LOWRANK_LAUNCH_WIDE_ROWS(all_wide(a.logits, a.bias), cross_entropy_kernel, a.logits.rows, stream, a);
}
void add_up(const double* values, int64_t n, double* sum, Stream stream) { LOWRANK_LAUNCH(add_up_kernel, (1), kThreads, stream, values, n, sum); }

void dense_fwd(const DenseFwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH_ELEMENTS(dense_input_kernel, a.x, stream, a);
  LOWRANK_LAUNCH_ELEMENTS(dense_fwd_kernel, a.y, stream, a);
}
void dense_bwd(const DenseBwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH_ELEMENTS(dense_dx_kernel, a.dx, stream, a);
  if (a.dw) LOWRANK_LAUNCH(dense_dw_kernel, (unsigned(a.dy.cols), column_parts(a.dy.cols, a.d.cols)), kThreads, stream, a);
}
void label_loss(const LabelLossArgs& a, Stream stream) { LOWRANK_LAUNCH(label_loss_kernel, (1), kThreads, stream, a); }

}  // namespace lowrank::cuda::kernels
