// Linears with a base in codes of 8 bits whose other operand is rounded, too: LLM.int8's forward pass, and the 8-bit backward pass.
#include <algorithm>

#include "cpu/cpu_backend.h"

namespace lowrank::cpu {

namespace {

// Rows that a thread rounds at a time.
constexpr int64_t kRowsTogether = 16;

}  // namespace

// Rows of codes outlive the operation, in memory of their own: linears of one input use the same.
struct CpuBackend::CodeRoom {
  int64_t codes = 0, factors = 0, flags = 0, columns = 0, rows = 0, end = 0;  // offsets in bytes
  int64_t linear = 0;  // bytes of a linear's codes; factors of it are limits.tokens

  CodeRoom(const OpLimits& l, int threads, const InstructionSet& isa) {
    if (!l.rounds_activations && !l.rounds_gradients) return;
    const auto take = [&](int64_t bytes) {
      const int64_t at = end;
      end += round_up(bytes, 64);
      return at;
    };
    const int64_t linears = l.rounds_gradients ? Int8Product::kMostTerms : 1;
    linear = round_up(l.tokens * Int8Matmul::row_bytes(l.features, int8_kernels(isa)), 64);
    codes = take(linears * linear);
    factors = take(linears * l.tokens * 4);
    flags = take(l.features);
    columns = take(l.features * 4);
    rows = take(l.rounds_gradients ? threads * l.features * 4 : 0);
  }
};

int64_t CpuBackend::code_bytes(const OpLimits& l, int threads, const InstructionSet& isa) { return CodeRoom(l, threads, isa).end; }

int64_t CpuBackend::int8_workspace(const OpLimits& l, int threads, const InstructionSet& isa) {
  const int linears = l.rounds_gradients ? Int8Product::kMostTerms : l.rounds_activations ? 1 : 0;
  return linears > 0 ? Int8Matmul::workspace_bytes(l.features, l.rank, linears, threads, isa, l.act) : 0;
}

// x as LLM.int8 has it: codes, their factors and the columns with outliers.
void CpuBackend::round_rows(const Mat& x, float threshold) {
  const CodeRoom room(limits_, pool_.threads(), isa_);
  const Int8Kernels& int8 = int8_kernels(isa_);
  uint8_t* const flags = reinterpret_cast<uint8_t*>(codes_ + room.flags);
  int32_t* const columns = reinterpret_cast<int32_t*>(codes_ + room.columns);
  float* const factors = reinterpret_cast<float*>(codes_ + room.factors);
  const int64_t bytes = Int8Matmul::row_bytes(x.cols, int8);
  const auto for_blocks = [&](auto&& f) {
    pool_.run((x.rows + kRowsTogether - 1) / kRowsTogether, [&](int64_t block, int) {
      for (int64_t m = block * kRowsTogether, end = std::min(x.rows, m + kRowsTogether); m < end; m++) f(m, codes_ + room.codes + m * bytes);
    });
  };
  std::fill(flags, flags + x.cols, uint8_t(0));
  for_blocks([&](int64_t m, char* codes) {
    const float maximum = rk_.int8_maximum(x.row(m), x.cols, x.dtype, threshold, flags);
    factors[m] = maximum * kInt8ProductStep;
    int8.codes(x.row(m), x.cols, x.dtype, int8_factor(maximum), codes);
  });
  int64_t outliers = 0;
  for (int64_t c = 0; c < x.cols; c++) {
    if (flags[c]) columns[outliers++] = int32_t(c);
  }
  rounded_ = {x.data, x.rows, x.cols, threshold, {codes_ + room.codes, bytes, factors}, columns, outliers};
  if (outliers == 0) return;
  for_blocks([&](int64_t, char* codes) {
    for_runs(columns, outliers, [&](int64_t, int64_t column, int64_t run) { std::memset(codes + column * int8.code_bytes, int8.shift, size_t(run * int8.code_bytes)); });
  });
}

void CpuBackend::int8_fwd(const LinearFwdArgs& a, char* work, int64_t bytes) {
  check(a.w.format == Format::i8 && a.w.interleaved == 0 && a.w.absmax, "weight", "linear_fwd");
  const Rounded& r = rounded_;
  if (r.x != a.x.data || r.rows != a.x.rows || r.cols != a.x.cols || r.threshold != a.w.outlier_threshold) round_rows(a.x, a.w.outlier_threshold);
  Int8Product p;
  p.bias = a.bias;
  p.out = a.y;
  p.accumulate = a.accumulate;
  p.add(CodeTerm{r.codes, a.w, Along::columns});
  if (a.lora) p.add(FloatTerm{a.u, {.data = a.lora->b, .rows = a.w.rows, .cols = a.lora->rank}, Along::columns});
  if (r.outliers > 0) p.add(FloatTerm{a.x, a.w, Along::columns, r.columns, r.outliers});
  if (a.gate) {
    p.swiglu = Swiglu::forward;
    p.gate = a.gate;
    p.other = a.a;
  }
  Int8Matmul(pool_, isa_, a.x.dtype, limits_.rank, work, bytes)(p);
}

// The gradient of a linear's output in codes, the weight's maxima folded in.
CodedRows CpuBackend::round_gradient(const LinearBwdArgs& a, int linear) {
  const CodeRoom room(limits_, pool_.threads(), isa_);
  const Int8Kernels& int8 = int8_kernels(isa_);
  const Mat& dy = a.dy;
  const CodedRows to{codes_ + room.codes + linear * room.linear, Int8Matmul::row_bytes(dy.cols, int8),
                     reinterpret_cast<float*>(codes_ + room.factors) + linear * limits_.tokens};
  const Dropout numbers = a.numbers.now();
  const bool by_chance = a.w.gradient_codes == GradientCodes::stochastic;
  pool_.run((dy.rows + kRowsTogether - 1) / kRowsTogether, [&](int64_t block, int thread) {
    float* const z = reinterpret_cast<float*>(codes_ + room.rows) + thread * limits_.features;
    for (int64_t m = block * kRowsTogether, end = std::min(dy.rows, m + kRowsTogether); m < end; m++) {
      const float maximum = rk_.int8_fold(dy.row(m), dy.cols, dy.dtype, a.w.absmax, z);
      rk_.int8_round(z, dy.cols, gradient_factor(maximum), by_chance ? &numbers : nullptr, uint64_t(m * dy.cols));
      int8.codes(z, dy.cols, DType::f32, 1, to.codes + m * to.bytes);
      to.factors[m] = maximum * kGradientStep;
    }
  });
  return to;
}

// dx without the parts of adapters that go through a mask. Where there are such parts, dx does not go on through SwiGLU.
void CpuBackend::int8_bwd(const LinearBwdArgs& a, std::span<const Adapted> adapted, char* work, int64_t bytes) {
  Int8Product p;
  p.out = a.dx;
  p.accumulate = a.accumulate;
  for (const LinearBwdArgs* l = &a; l; l = l->also) {
    check(l->w.format == Format::i8 && l->w.interleaved == 0 && l->w.absmax && p.code_count < Int8Product::kMostTerms, "weight", "linear_bwd");
    const CodedRows codes = round_gradient(*l, p.code_count);
    p.add(CodeTerm{codes, l->w, Along::rows});
  }
  bool masked = false;
  for (const Adapted& l : adapted) {
    masked = masked || l.masked;
    if (!l.masked) p.add(FloatTerm{l.du, {.data = l.linear->lora->a + l.first * a.w.cols, .rows = l.du.cols, .cols = a.w.cols}, Along::rows});
  }
  if (a.gate && !masked) {
    p.swiglu = Swiglu::backward;
    p.gate = a.gate;
    p.other = a.up;
  }
  Int8Matmul(pool_, isa_, a.dy.dtype, limits_.rank, work, bytes)(p);
}

}  // namespace lowrank::cpu
