// The forward pass of LLM.int8's linears: products of codes in integers, which are exact. A block of sums is scaled, the adapter's part and
// the columns with outliers are added to it, and it is stored, all while it lies in cache.
#include <algorithm>

#include "cpu/cpu_backend.h"
#include "cpu/panel_ops.h"

namespace lowrank::cpu {

namespace {

// A task: rows and panels whose sums and operands stay in L2, as those of a product of floats do.
constexpr int64_t kRowsOfTask = 96, kPanelsOfTask = 6;
// Longest stretch of a contraction, as of other products.
constexpr int64_t kMostCodes = kMaxStretch;
static_assert(kMostCodes % kCodeStep == 0);
// Columns with outliers that go into a product at a time.
constexpr int64_t kOutlierColumns = 128;
// Panels that are packed at a time, in bytes; at least those of a task.
constexpr int64_t kPackBytes = 4 << 20;

// Bytes from a row of codes to the next, off strides at which rows push one another out of L1.
int64_t row_bytes(int64_t columns, const Int8Kernels& k) {
  const int64_t bytes = round_up(columns, kCodeStep) * k.code_bytes;
  return bytes + (bytes % 2048 == 0 ? 64 : 0);
}

// A panel of everything that a linear multiplies: codes and their columns' sums, the adapter's B, and groups of columns with outliers.
struct PanelParts {
  int64_t sums, b, outliers, group, end;  // bytes from its begin; of a group of outliers

  PanelParts(int64_t in, int64_t rank, int64_t outlier_columns, const PanelOps& ops) {
    sums = panel_bytes_int8(in);
    b = sums + (in + kLongestCodes - 1) / kLongestCodes * kPanelCols * 4;
    group = round_up(ops.panel_bytes(kOutlierColumns), 64);
    outliers = b + round_up(rank > 0 ? ops.panel_bytes(rank) : 0, 64);
    end = outliers + (outlier_columns + kOutlierColumns - 1) / kOutlierColumns * group;
  }
};

constexpr int64_t kSumBytes = kRowsOfTask * kPanelsOfTask * kPanelCols * 4;

// A thread's scratch: sums of a task twice, rows of left operands, columns with outliers of a panel.
struct ThreadParts {
  int64_t rows, rows_bytes, columns, end;

  explicit ThreadParts(int64_t rank) {
    const int64_t columns_of_left = round_up(std::max(rank, kOutlierColumns), kPanelStep);
    rows = 2 * kSumBytes;
    rows_bytes = kRowsOfTask * columns_of_left * 4;
    columns = rows + 2 * rows_bytes;
    end = columns + kPanelCols * kOutlierColumns * 4;
  }
};

// Offsets in bytes.
struct Int8Parts {
  ThreadParts thread;
  int64_t codes, maxima, flags, columns, threads, panels, end = 0;

  Int8Parts(const OpLimits& l, int thread_count, const InstructionSet& isa) : thread(l.rank) {
    const auto take = [&](int64_t bytes) {
      const int64_t at = end;
      end += round_up(bytes, 64);
      return at;
    };
    codes = take(l.tokens * row_bytes(l.features, int8_kernels(isa)));
    maxima = take(l.tokens * 4);
    flags = take(l.features);
    columns = take(l.features * 4);
    threads = take(thread_count * thread.end);
    const PanelOps ops(isa, l.act);
    panels = take(std::max(kPackBytes, kPanelsOfTask * PanelParts(l.features, l.rank, l.features, ops).end));
  }
};

// One linear on its way: rows are rounded, panels are packed, blocks of the output are multiplied.
class Int8Linear {
 public:
  Int8Linear(const LinearFwdArgs& a, const OpLimits& limits, ThreadPool& pool, const InstructionSet& isa, char* work)
      : a_(a), pool_(pool), int8_(int8_kernels(isa)), k_(*isa.kernels), r_(*isa.rows), ops_(isa, a.x.dtype), p_(limits, pool.threads(), isa), work_(work) {}

  void operator()() {
    round_rows();
    const PanelParts panel(a_.w.cols, rank(), outliers_, ops_);
    const int64_t all = (a_.w.rows + kPanelCols - 1) / kPanelCols, m = a_.x.rows;
    const int64_t fit = (p_.end - p_.panels) / panel.end, piece = std::min(all, fit / kPanelsOfTask * kPanelsOfTask);
    for (int64_t first = 0; first < all; first += piece) {
      const int64_t panels = std::min(piece, all - first), row_blocks = (m + kRowsOfTask - 1) / kRowsOfTask,
                    groups = (panels + kPanelsOfTask - 1) / kPanelsOfTask;
      char* const packed = work_ + p_.panels;
      pool_.run(panels, [&](int64_t i, int thread) { pack(panel, first + i, packed + i * panel.end, thread); });
      pool_.run(row_blocks * groups, [&](int64_t task, int thread) {
        const int64_t m0 = task % row_blocks * kRowsOfTask, group = task / row_blocks * kPanelsOfTask;
        multiply(panel, m0, std::min(kRowsOfTask, m - m0), first + group, std::min(kPanelsOfTask, panels - group), packed + group * panel.end, thread);
      });
    }
  }

 private:
  int64_t rank() const { return a_.lora ? a_.lora->rank : 0; }
  template <class T = char>
  T* part(int64_t offset) const { return reinterpret_cast<T*>(work_ + offset); }
  char* scratch(int thread) const { return work_ + p_.threads + thread * p_.thread.end; }
  const int32_t* columns() const { return part<int32_t>(p_.columns); }

  void round_rows() {
    const Mat& x = a_.x;
    uint8_t* const flags = part<uint8_t>(p_.flags);
    float* const maxima = part<float>(p_.maxima);
    std::fill(flags, flags + x.cols, uint8_t(0));
    pool_.run(x.rows, [&](int64_t i, int) { maxima[i] = r_.int8_maximum(x.row(i), x.cols, x.dtype, a_.w.outlier_threshold, flags); });
    for (int64_t c = 0; c < x.cols; c++) {
      if (flags[c]) part<int32_t>(p_.columns)[outliers_++] = int32_t(c);
    }
    row_bytes_ = row_bytes(x.cols, int8_);
    const auto set_zero = [&](char* code) { std::memset(code, int8_.shift, size_t(int8_.code_bytes)); };
    pool_.run(x.rows, [&](int64_t i, int) {
      char* const row = part(p_.codes) + i * row_bytes_;
      int8_.codes(x.row(i), x.cols, x.dtype, int8_factor(maxima[i]), row);
      for (int64_t c = 0; c < outliers_; c++) set_zero(row + columns()[c] * int8_.code_bytes);
    });
  }

  void pack(const PanelParts& panel, int64_t number, char* to, int thread) const {
    const Weight& w = a_.w;
    const int64_t n0 = number * kPanelCols, n = std::min(kPanelCols, w.rows - n0);
    int32_t* sums = reinterpret_cast<int32_t*>(to + panel.sums);
    for (int64_t k0 = 0; k0 < w.cols; k0 += kLongestCodes, sums += kPanelCols) {
      k_.pack_codes(reinterpret_cast<const int8_t*>(w.row(n0)) + k0, w.cols, std::min(kLongestCodes, w.cols - k0), n,
                    reinterpret_cast<int8_t*>(to) + panel_bytes_int8(k0), sums);
    }
    const auto pack_floats = [&](const float* values, int64_t columns, char* floats) {
      ops_.pack_along_columns(Mat(const_cast<float*>(values), DType::f32, n, columns), floats);
    };
    if (a_.lora) pack_floats(a_.lora->b + n0 * rank(), rank(), to + panel.b);
    float* const values = reinterpret_cast<float*>(scratch(thread) + p_.thread.columns);
    for (int64_t first = 0; first < outliers_; first += kOutlierColumns) {
      const int64_t count = std::min(kOutlierColumns, outliers_ - first);
      for (int64_t o = 0; o < n; o++) {
        for (int64_t c = 0; c < count; c++) values[o * count + c] = w.get(n0 + o, columns()[first + c]);
      }
      pack_floats(values, count, to + panel.outliers + first / kOutlierColumns * panel.group);
    }
  }

  void multiply(const PanelParts& parts, int64_t m0, int64_t rows, int64_t panel, int64_t panels, const char* packed, int thread) const {
    const int64_t ld = panels * kPanelCols, n0 = panel * kPanelCols, n = std::min(ld, a_.w.rows - n0);
    char* const area = scratch(thread);
    const auto [sums, part] = multiply_codes(parts, m0, rows, n0, n, panels, packed, area);
    // Left operands: a copy of rows, and room for them in the form of the products.
    char *const left = area + p_.thread.rows, *const room = left + p_.thread.rows_bytes;
    const auto add = [&](const Mat& x, const char* floats) {
      const LeftOperand operand = ops_.left(x, room);
      for (int64_t j = 0; j < panels; j++) ops_.gemm(operand.data, operand.ld, floats + j * parts.end, x.cols, rows, false, part + j * kPanelCols, ld);
      for (int64_t i = 0; i < rows; i++) r_.epilogue(part + i * ld, 1, nullptr, n, DType::f32, true, sums + i * ld);
    };
    ops_.begin();
    if (a_.lora) add(a_.u.slice(m0, rows), packed + parts.b);
    for (int64_t first = 0; first < outliers_; first += kOutlierColumns) {
      const Mat x(left, a_.x.dtype, rows, std::min(kOutlierColumns, outliers_ - first));
      const int64_t size = dtype_bytes(x.dtype);
      for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < x.cols; c++) std::memcpy(x.row(i) + c * size, a_.x.row(m0 + i) + columns()[first + c] * size, size_t(size));
      }
      add(x, packed + parts.outliers + first / kOutlierColumns * parts.group);
    }
    ops_.end();
    const DType out = a_.y.dtype;
    const auto at = [&](const Mat& y, int64_t row) { return y.row(m0 + row) + n0 * dtype_bytes(out); };
    for (int64_t i = 0; i < rows; i++) {
      r_.epilogue(sums + i * ld, 1, a_.bias ? a_.bias + n0 : nullptr, n, out, a_.accumulate, at(a_.y, i));
      if (a_.gate) r_.glu_fwd(Activation::silu, at(a_.gate, i), at(a_.y, i), n, out, at(a_.a, i));
    }
  }

  struct Block {
    float *sums, *part;  // (rows, 32 panels) each: the sums, and room for those of a term
  };

  // The scaled sums of a block of codes, in `area`.
  Block multiply_codes(const PanelParts& parts, int64_t m0, int64_t rows, int64_t n0, int64_t n, int64_t panels, const char* packed, char* area) const {
    const int64_t in = a_.w.cols, ld = panels * kPanelCols;
    const float* const maxima = part<float>(p_.maxima);
    const char *const codes = part(p_.codes) + m0 * row_bytes_, *const row_maxima = static_cast<const char*>(a_.w.absmax) + n0 * 4;
    int32_t *sums = reinterpret_cast<int32_t*>(area), *other = reinterpret_cast<int32_t*>(area + kSumBytes);
    if (int8_.begin) int8_.begin();
    for (int64_t first = 0; first < in; first += kLongestCodes, std::swap(sums, other)) {
      const int64_t length = std::min(kLongestCodes, in - first), stretches = (length + kMostCodes - 1) / kMostCodes,
                    stretch = round_up((length + stretches - 1) / stretches, kCodeStep);
      const int32_t* const column_sums = reinterpret_cast<const int32_t*>(packed + parts.sums) + first / kLongestCodes * kPanelCols;
      for (int64_t k0 = first; k0 < first + length; k0 += stretch) {
        const int64_t k = round_up(std::min(stretch, first + length - k0), kCodeStep);
        int8_.product(codes + k0 * int8_.code_bytes, row_bytes_, reinterpret_cast<const int8_t*>(packed) + panel_bytes_int8(k0), parts.end, column_sums,
                      panels, k, rows, k0 > first, sums, ld);
      }
      for (int64_t i = 0; i < rows; i++) {
        r_.int8_scale(sums + i * ld, n, maxima[m0 + i] * kInt8ProductStep, row_maxima, first > 0 ? reinterpret_cast<const float*>(other + i * ld) : nullptr);
      }
    }
    if (int8_.end) int8_.end();
    return {reinterpret_cast<float*>(other), reinterpret_cast<float*>(sums)};
  }

  const LinearFwdArgs& a_;
  ThreadPool& pool_;
  const Int8Kernels& int8_;
  const Kernels& k_;
  const RowKernels& r_;
  const PanelOps ops_;
  const Int8Parts p_;
  char* const work_;
  int64_t row_bytes_ = 0, outliers_ = 0;
};

}  // namespace

int64_t CpuBackend::int8_workspace(const OpLimits& l, int threads, const InstructionSet& isa) {
  return l.rounds_activations ? Int8Parts(l, threads, isa).end : 0;
}

void CpuBackend::int8_fwd(const LinearFwdArgs& a, char* work) {
  check(a.w.format == Format::i8 && a.w.interleaved == 0 && a.w.absmax, "weight", "linear_fwd");
  Int8Linear(a, limits_, pool_, isa_, work)();
}

}  // namespace lowrank::cpu
