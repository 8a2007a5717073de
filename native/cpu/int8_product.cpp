#include "cpu/int8_product.h"

#include <algorithm>

#include "base/error.h"
#include "cpu/prefetch.h"

namespace lowrank::cpu {

namespace {

// A task: rows and panels whose operands stay in L2. Where tasks are few, they have half the rows.
constexpr int64_t kRowsOfTask = 96, kPanelsOfTask = 6, kFewTasks = 16;
// Longest stretch of a contraction, as of other products.
constexpr int64_t kMostCodes = kMaxStretch;
static_assert(kMostCodes % kCodeStep == 0);
// Columns apart that go into a product at a time.
constexpr int64_t kColumnsApart = 128;
// Panels that are packed at a time, in bytes; at least those of a task.
constexpr int64_t kPackBytes = 4 << 20;

// Rows whose sums are made at a time: whole tiles, whose sums stay in L1. The panels of a long contraction don't fit L2: of its stretches each
// passes all rows of a task, and the sums stay in L2.
constexpr int64_t kLongestInL2 = 3 * kMostCodes;
int64_t rows_of_block(const Int8Product& p, const Int8Kernels& k) {
  int64_t length = 0;
  for (int i = 0; i < p.code_count; i++) length = std::max(length, p.codes[i].length());
  return length > kLongestInL2 ? kRowsOfTask : round_up(12, k.rows);
}

// A panel of codes and its columns' sums, one after the other for each piece whose sums fit 32 bits.
int64_t sums_of(int64_t length) { return panel_bytes_int8(length); }
int64_t code_panel_bytes(int64_t length) { return sums_of(length) + (length + kLongestCodes - 1) / kLongestCodes * kPanelCols * 4; }

int64_t groups(int64_t length) { return (length + kColumnsApart - 1) / kColumnsApart; }

// A thread's scratch: sums of a block twice, rows of left operands, columns apart of a panel.
struct ThreadParts {
  int64_t other, left, room, columns, end;

  explicit ThreadParts(int64_t rank) {
    other = kRowsOfTask * kPanelsOfTask * kPanelCols * 4;
    left = 2 * other;
    room = left + kRowsOfTask * round_up(std::max(rank, kColumnsApart), kPanelStep) * 4;
    columns = room + (room - left);
    end = round_up(columns + kPanelCols * kColumnsApart * 4, 64);
  }
};

}  // namespace

// Where the panels of each term lie, all of one term side by side.
struct Int8Matmul::Panels {
  int64_t codes[Int8Product::kMostTerms], floats[Int8Product::kMostTerms + 1];  // bytes of a panel of each term
  int64_t bytes = 0;                                                            // of a panel of all

  Panels(const Int8Product& p, const PanelOps& ops) {
    for (int i = 0; i < p.code_count; i++) bytes += codes[i] = code_panel_bytes(p.codes[i].length());
    for (int i = 0; i < p.float_count; i++) {
      const FloatTerm& t = p.floats[i];
      floats[i] = t.columns ? groups(t.count) * ops.panel_bytes(kColumnsApart) : round_up(ops.panel_bytes(t.x.cols), 64);
      bytes += floats[i];
    }
  }
};

int64_t Int8Matmul::row_bytes(int64_t columns, const Int8Kernels& k) {
  const int64_t bytes = round_up(columns, kCodeStep) * k.code_bytes;
  return bytes + (bytes % 2048 == 0 ? 64 : 0);
}

int64_t Int8Matmul::workspace_bytes(int64_t features, int64_t rank, int linears, int threads, const InstructionSet& isa, DType act) {
  const PanelOps ops(isa, act);
  const int64_t panel = linears * (code_panel_bytes(features) + round_up(ops.panel_bytes(rank), 64)) + groups(features) * ops.panel_bytes(kColumnsApart);
  return threads * ThreadParts(rank).end + round_up(std::max(kPackBytes, kPanelsOfTask * panel), 64);
}

void Int8Matmul::operator()(const Int8Product& p) const {
  const Panels parts(p, ops_);
  const int64_t threads_end = pool_.threads() * ThreadParts(rank_).end, m = p.out.rows, all = (p.out.cols + kPanelCols - 1) / kPanelCols;
  char* const packed = work_ + threads_end;
  const int64_t fit = (bytes_ - threads_end) / parts.bytes, piece = std::min(all, fit / kPanelsOfTask * kPanelsOfTask);
  check(piece >= 1, "the workspace is too small", "int8 product");
  for (int64_t first = 0; first < all; first += piece) {
    const int64_t panels = std::min(piece, all - first), panel_groups = (panels + kPanelsOfTask - 1) / kPanelsOfTask;
    const auto blocks_of = [&](int64_t rows) { return (m + rows - 1) / rows; };
    const int64_t task_rows = blocks_of(kRowsOfTask) * panel_groups < kFewTasks * pool_.threads() ? kRowsOfTask / 2 : kRowsOfTask,
                  row_blocks = blocks_of(task_rows);
    // The panels of a group lie together, term by term.
    const auto group_at = [&](int64_t group) { return packed + group * kPanelsOfTask * parts.bytes; };
    // Several panels a task where there are many: packing one asks for the rows of the next.
    const int64_t together = std::clamp<int64_t>(panels / (4 * pool_.threads()), 1, kPanelsOfTask);
    pool_.run((panels + together - 1) / together, [&](int64_t task, int thread) {
      for (int64_t i = task * together, end = std::min(panels, i + together); i < end; i++) {
        pack(p, parts, first + i, group_at(i / kPanelsOfTask), int(i % kPanelsOfTask), thread);
      }
    });
    pool_.run(row_blocks * panel_groups, [&](int64_t task, int thread) {
      const int64_t m0 = task % row_blocks * task_rows, group = task / row_blocks;
      multiply(p, parts, m0, std::min(task_rows, m - m0), first + group * kPanelsOfTask, std::min(kPanelsOfTask, panels - group * kPanelsOfTask),
               group_at(group), thread);
    });
  }
}

// Panel `number` of the product as panel `at` of a group.
void Int8Matmul::pack(const Int8Product& p, const Panels& parts, int64_t number, char* group, int at, int thread) const {
  const int64_t n0 = number * kPanelCols, n = std::min(kPanelCols, p.out.cols - n0);
  for (int i = 0; i < p.code_count; group += kPanelsOfTask * parts.codes[i++]) {
    const CodeTerm& t = p.codes[i];
    char* const to = group + at * parts.codes[i];
    int32_t* sums = reinterpret_cast<int32_t*>(to + sums_of(t.length()));
    for (int64_t k0 = 0; k0 < t.length(); k0 += kLongestCodes, sums += kPanelCols) {
      const int64_t k = std::min(kLongestCodes, t.length() - k0);
      int8_t* const panel = reinterpret_cast<int8_t*>(to + panel_bytes_int8(k0));
      if (t.along == Along::columns) k_.pack_codes(reinterpret_cast<const int8_t*>(t.w.row(n0)) + k0, t.w.cols, k, n, panel, sums);
      else k_.pack_codes_rows(reinterpret_cast<const int8_t*>(t.w.row(k0)) + n0, t.w.cols, k, n, panel, sums);
    }
  }
  for (int i = 0; i < p.float_count; group += kPanelsOfTask * parts.floats[i++]) {
    const FloatTerm& t = p.floats[i];
    char* to = group + at * parts.floats[i];
    if (!t.columns) {
      const float* const w = static_cast<const float*>(t.w.data);
      if (t.along == Along::columns) ops_.pack_along_columns(Mat(const_cast<float*>(w) + n0 * t.w.cols, DType::f32, n, t.w.cols), to);
      else ops_.pack_along_rows(Mat(const_cast<float*>(w) + n0, DType::f32, t.w.rows, n, t.w.cols), to);
      continue;
    }
    float* const values = reinterpret_cast<float*>(work_ + thread * ThreadParts(rank_).end + ThreadParts(rank_).columns);
    for (int64_t first = 0; first < t.count; first += kColumnsApart, to += ops_.panel_bytes(kColumnsApart)) {
      const int64_t count = std::min(kColumnsApart, t.count - first);
      for_runs(t.columns + first, count, [&](int64_t c, int64_t column, int64_t run) { k_.decode(t.w, n0, n, column, run, DType::f32, values + c, count); });
      ops_.pack_along_columns(Mat(values, DType::f32, n, count), to);
    }
  }
}

// A task: block by block of rows, whose sums stay in L1 until they are stored.
void Int8Matmul::multiply(const Int8Product& p, const Panels& parts, int64_t m0, int64_t rows, int64_t panel, int64_t panels, const char* group,
                          int thread) const {
  const ThreadParts own(rank_);
  char* const area = work_ + thread * own.end;
  char *const left = area + own.left, *const room = area + own.room;
  const int64_t ld = panels * kPanelCols, n0 = panel * kPanelCols, n = std::min(ld, p.out.cols - n0), size = dtype_bytes(p.out.dtype);
  const auto at = [&](const Mat& y, int64_t row) { return y.row(m0 + row) + n0 * size; };
  // Both kinds of tiles are set up alike.
  if (int8_.begin) int8_.begin();
  else ops_.begin();
  for (const int64_t end = m0 + rows, block = rows_of_block(p, int8_); m0 < end; m0 += block) {
    const int64_t m = std::min(block, end - m0);
    // What the output pass reads and writes is asked for while the sums are made.
    for (const Mat* y : {&p.out, &p.gate, &p.other}) {
      if (*y) prefetch_rows(at(*y, 0), y->ld * size, m, n * size, true);
    }
    float* const sums = sum_codes(p, parts, m0, m, n0, n, panels, group, area);
    float* const part = reinterpret_cast<float*>(reinterpret_cast<char*>(sums) == area ? area + own.other : area);
    const char* packed = group;
    const auto add = [&](const Mat& x, const char* right, int64_t stride) {
      const LeftOperand operand = ops_.left(x, room);
      ops_.gemm_panels(operand.data, operand.ld, right, stride, panels, x.cols, m, false, part, ld);
      for (int64_t r = 0; r < m; r++) r_.epilogue(part + r * ld, 1, nullptr, n, DType::f32, true, sums + r * ld);
    };
    for (int i = 0; i < p.code_count; i++) packed += kPanelsOfTask * parts.codes[i];
    for (int i = 0; i < p.float_count; packed += kPanelsOfTask * parts.floats[i++]) {
      const FloatTerm& t = p.floats[i];
      if (!t.columns) {
        add(t.x.slice(m0, m), packed, parts.floats[i]);
        continue;
      }
      for (int64_t first = 0, bytes = dtype_bytes(t.x.dtype); first < t.count; first += kColumnsApart) {
        const Mat x(left, t.x.dtype, m, std::min(kColumnsApart, t.count - first));
        for_runs(t.columns + first, x.cols, [&](int64_t c, int64_t column, int64_t run) {
          for (int64_t r = 0; r < m; r++) std::memcpy(x.row(r) + c * bytes, t.x.row(m0 + r) + column * bytes, size_t(run * bytes));
        });
        add(x, packed + first / kColumnsApart * ops_.panel_bytes(kColumnsApart), parts.floats[i]);
      }
    }
    for (int64_t r = 0; r < m; r++) {
      char* const out = at(p.out, r);
      r_.epilogue(sums + r * ld, 1, p.bias ? p.bias + n0 : nullptr, n, p.out.dtype, p.accumulate, out);
      if (p.swiglu == Swiglu::forward) r_.glu_fwd(Activation::silu, at(p.gate, r), out, n, p.out.dtype, at(p.other, r));
      if (p.swiglu == Swiglu::backward) r_.glu_bwd(Activation::silu, out, at(p.gate, r), at(p.other, r), n, p.out.dtype, at(p.gate, r), at(p.other, r));
    }
  }
  if (int8_.end) int8_.end();
  else ops_.end();
}

// The scaled sums of a block's codes, in `area`.
float* Int8Matmul::sum_codes(const Int8Product& p, const Panels& parts, int64_t m0, int64_t rows, int64_t n0, int64_t n, int64_t panels, const char* packed,
                             char* area) const {
  const int64_t ld = panels * kPanelCols;
  int32_t *sums = reinterpret_cast<int32_t*>(area), *before = reinterpret_cast<int32_t*>(area + ThreadParts(rank_).other);
  bool begun = false;
  for (int i = 0; i < p.code_count; packed += kPanelsOfTask * parts.codes[i++]) {
    const CodeTerm& t = p.codes[i];
    const char* const codes = t.rows.codes + m0 * t.rows.bytes;
    const char* const maxima = t.along == Along::columns ? static_cast<const char*>(t.w.absmax) + n0 * 4 : nullptr;
    for (int64_t first = 0; first < t.length(); first += kLongestCodes) {
      const int64_t length = std::min(kLongestCodes, t.length() - first), stretches = (length + kMostCodes - 1) / kMostCodes,
                    stretch = round_up((length + stretches - 1) / stretches, kCodeStep);
      const int32_t* const column_sums = reinterpret_cast<const int32_t*>(packed + sums_of(t.length())) + first / kLongestCodes * kPanelCols;
      if (begun) std::swap(sums, before);
      for (int64_t k0 = first; k0 < first + length; k0 += stretch) {
        const int64_t k = round_up(std::min(stretch, first + length - k0), kCodeStep);
        int8_.product(codes + k0 * int8_.code_bytes, t.rows.bytes, reinterpret_cast<const int8_t*>(packed) + panel_bytes_int8(k0), parts.codes[i], column_sums,
                      panels, k, rows, k0 > first, sums, ld);
      }
      for (int64_t r = 0; r < rows; r++) {
        r_.int8_scale(sums + r * ld, n, t.rows.factors[m0 + r], maxima, begun ? reinterpret_cast<const float*>(before + r * ld) : nullptr);
      }
      begun = true;
    }
  }
  return reinterpret_cast<float*>(sums);
}

}  // namespace lowrank::cpu
