// Frozen weights in any format, decoded. Compiled without fused multiply-adds (quant/element.h).
#include "cuda/kernels.h"
#include "cuda/wide.h"
#include "quant/element.h"

namespace lowrank::cuda::kernels {

namespace {

struct Stored {
  Weight w;
  const float* values;
  int64_t row_bytes;
};
Stored stored(const Weight& w, const Tables& tables) { return {w, tables.of(w.format), format_bytes(w.format, w.stored().cols)}; }

__device__ __forceinline__ float element_of(const Stored& s, int64_t row, int64_t c) {
  return s.w.transposed ? stored_element(s.w, s.values, s.row_bytes, c, row) : stored_element(s.w, s.values, s.row_bytes, s.w.source_row(row), c);
}

// Elements [c, c + N) of a row of blocks, c a multiple of N.
template <class Block, int64_t kElements, int N>
__device__ __forceinline__ void block_elements(const char* row, int64_t c, float (&v)[N]) {
  const Block& block = *reinterpret_cast<const Block*>(row + c / kElements * int64_t(sizeof(Block)));
  const int64_t first = c % kElements / N * N;
#pragma unroll
  for (int k = 0; k < N; k++) v[k] = element(block, first + k);
}

// v = elements [c, c + N) of a row; N > 1 where reads_wide(), c being a multiple of it.
template <int N>
__device__ __forceinline__ void elements_of(const Stored& s, int64_t r, int64_t c, float (&v)[N]) {
  if constexpr (N == 1) {
    v[0] = element_of(s, r, c);
  } else {
    const Weight& w = s.w;
    const int64_t source = w.source_row(r);
    const char* const row = static_cast<const char*>(w.data) + source * s.row_bytes;
    const auto plain = [&](DType t) { read(Mat(const_cast<void*>(w.data), t, w.rows, w.cols), source, c, v); };
    switch (w.format) {
      case Format::f32: return plain(DType::f32);
      case Format::bf16: return plain(DType::bf16);
      case Format::f16: return plain(DType::f16);
      case Format::nf4:
      case Format::fp4: {
        const int64_t i = source * w.cols + c;
        const float maximum = block_maximum(w, i / w.block_size);
        const uint32_t codes = static_cast<const uint32_t*>(w.data)[i / N];
        // The first element of a pair is a byte's high half.
        for (int k = 0; k < N; k++) v[k] = s.values[codes >> (k / 2 * 8 + (k % 2 ? 0 : 4)) & 15] * maximum;
        return;
      }
      case Format::i8: {
        const uint32_t* const codes = reinterpret_cast<const uint32_t*>(row + c);
        const float maximum = w.absmax ? f32_at(w.absmax, source) : 0;
        for (int k = 0; k < N; k++) {
          const float code = int8_t(codes[k / 4] >> (k % 4 * 8));
          v[k] = w.absmax ? code * maximum * kInt8Step : code;
        }
        return;
      }
      case Format::q4_0: return block_elements<Q4_0, 32>(row, c, v);
      case Format::q4_1: return block_elements<Q4_1, 32>(row, c, v);
      case Format::q5_0: return block_elements<Q5_0, 32>(row, c, v);
      case Format::q8_0: return block_elements<Q8_0, 32>(row, c, v);
      case Format::q4_k: return block_elements<Q4_K, 256>(row, c, v);
      case Format::q5_k: return block_elements<Q5_K, 256>(row, c, v);
      case Format::q6_k: return block_elements<Q6_K, 256>(row, c, v);
    }
  }
}

bool reads_wide(const Weight& w) {
  return !w.transposed && w.cols % kWide == 0 && is_wide(w.data) && (!is_four_bit(w.format) || w.block_size % kWide == 0);
}

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
