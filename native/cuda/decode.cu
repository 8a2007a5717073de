// Frozen weights in any format, decoded. Compiled without fused multiply-adds (quant/element.h).
#include "cuda/decoding.h"
#include "cuda/kernels.h"

namespace lowrank::cuda::kernels {

namespace {

__global__ void __launch_bounds__(kThreads, 1) embedding_kernel(EmbeddingArgs a, Stored table) {
  const int64_t m = blockIdx.x;
  for (int64_t c = first_column(); c < a.x.cols; c += column_step()) {
    const float x = a.scale * element_of(table, a.ids[m], c);
    a.x.set(m, c, a.accumulate ? a.x.get(m, c) + x : x);
  }
}

template <int N>
__global__ void __launch_bounds__(kThreads, 1) decode_kernel(Stored s, int64_t first, Mat out) {
  const int64_t r = blockIdx.x;
  float v[N] = {};
  for (int64_t c = first_element<N>(); c < out.cols; c += element_step<N>()) {
    elements_of(s, first + r, c, v);
    write(out, r, c, v);
  }
}

__global__ void __launch_bounds__(kThreads, 1) row_norms_kernel(RowNormsArgs a, Stored s) {
  LOWRANK_SHARED(float, parts, kWarp);
  const int64_t o = blockIdx.x, rank = a.lora.rank;
  float squares = 0;
  for (int64_t i = threadIdx.x; i < a.w.cols; i += blockDim.x) {
    float v = 0;
    for (int64_t r = 0; r < rank; r++) v += a.lora.b[o * rank + r] * a.lora.a[r * a.w.cols + i];
    v = element_of(s, o, i) + a.lora.scale * v;
    squares += v * v;
  }
  const float norm = sqrtf(block_sum(squares, parts));
  if (threadIdx.x > 0) return;
  a.norm[o] = norm;
  if (a.magnitude) a.factor[o] = a.magnitude[o] / norm;
}

}  // namespace

void embedding_fwd(const EmbeddingArgs& a, const Tables& tables, Stream stream) {
  const Stored table = stored(a.table, tables);
  LOWRANK_LAUNCH_ELEMENTS(embedding_kernel, a.x, stream, a, table);
}
void decode(const Weight& w, int64_t first, const Mat& out, const Tables& tables, Stream stream) {
  const Stored s = stored(w, tables);
  LOWRANK_LAUNCH_WIDE_ELEMENTS(reads_wide(w) && is_wide(out), decode_kernel, out, stream, s, first, out);
}
void row_norms(const RowNormsArgs& a, const Tables& tables, Stream stream) {
  const Stored s = stored(a.w, tables);
  LOWRANK_LAUNCH(row_norms_kernel, (unsigned(a.w.rows)), kThreads, stream, a, s);
}

}  // namespace lowrank::cuda::kernels
