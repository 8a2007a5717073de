#include "cpu/matmul.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "ops/arguments.h"

namespace lowrank::cpu {

namespace {

// Rows of a task: a multiple of every micro-kernel's rows (4, 6, 12, 32); with a chunk of K it fits L2.
constexpr int64_t kBlockRows = 96;
// Columns of a task: its f32 sums (72 KB) stay in L2 beside the operands. Whole products keep sums in registers instead:
// the panels that fit L2 pass the rows.
constexpr int64_t kBlockPanels = 6;
constexpr int64_t kSlabBytes = 1280 << 10;  // at most; of a second cache of 2 MB
// From this many panels a thread, packing per thread pays even when sums go through memory. Only the head has this
// many panels.
constexpr int64_t kManyPanels = 64;
// Elements of a round of a long contraction into f32 (the backward pass of gate and up, the head's). Many panels stay in L2 while the
// rows pass, and the output holds the sums. A round is two chunks; an adapter's rank still goes with them.
constexpr int64_t kRound = 1536, kRoundRest = 128;
// Contractions are cut in equal chunks of at most this, by their length alone, so that neither threads nor blocking change
// a bit; between chunks sums are kept in f32.
constexpr int64_t kMaxChunk = kMaxStretch;
// A tile of a weight in codes that is decoded for the contraction along its rows.
constexpr int64_t kDecodedPanels = 3, kDecodedRows = kMaxChunk / kDecodedPanels;
static_assert(kDecodedRows % kPanelStep == 0);
// Bytes packed at a time. A piece has at least kMinPanels panels, or x would be read again too often.
constexpr int64_t kPackBytes = 4 << 20;
constexpr int64_t kMinPanels = 6;
constexpr int64_t kPackedTogether = 4;  // panels of a task, where all threads share the panels
// kMinPanels of this length always fit. Longer contractions stay whole only if the output is not f32; fewer of their panels fit,
// and one at least.
constexpr int64_t kMaxPackedK = 16 * 1024;
// Up to this many rows go without packing: packing W costs as much as 4 dot products.
constexpr int64_t kFewRows = 4;

int64_t slab_bytes() {
  static const int64_t bytes = [] {
    const int64_t cache = sysconf(_SC_LEVEL2_CACHE_SIZE);  // not above 0 where the system does not know
    return cache > 0 ? std::clamp<int64_t>(cache * 5 / 8, 256 << 10, kSlabBytes) : kSlabBytes;
  }();
  return bytes;
}

int64_t chunk_length(int64_t k) {
  const int64_t chunks = (k + kMaxChunk - 1) / kMaxChunk;
  return round_up((k + chunks - 1) / chunks, kPanelStep);
}

char* element(const void* p, DType t, int64_t index) {
  return const_cast<char*>(static_cast<const char*>(p)) + index * dtype_bytes(t);
}

// A thread's scratch: sums of a block, and a copy of its rows, one chunk in f32.
constexpr int64_t kSumBytes = kBlockRows * kBlockPanels * kPanelCols * 4;
constexpr int64_t kThreadBytes = kSumBytes + kBlockRows * kMaxChunk * 4;
static_assert(kSumBytes % 64 == 0 && kThreadBytes % 64 == 0 && kThreadBytes >= kProductScratch);
// Of it, while panels are packed: a decoded tile, and behind it an f32 panel that becomes one of f16.
constexpr int64_t kTileBytes = kMaxChunk * kPanelCols * 4;
static_assert(kSumBytes + 2 * kTileBytes <= kThreadBytes);

int64_t panel_bytes(DType operands, int64_t k) {
  return operands == DType::f32 ? panel_bytes_f32(k) : operands == DType::bf16 ? panel_bytes_bf16(k) : panel_bytes_f16(k);
}

// What products of such activations are computed in.
DType operands_of(const Kernels& k, DType act) {
  if (act == DType::bf16 && k.gemm_bf16) return DType::bf16;
  return act != DType::f32 && k.gemm_f16 ? DType::f16 : DType::f32;
}

// A term's stretch [k0, k0 + k) of its contraction.
struct Stretch {
  const Term* term;
  int64_t k0, k, panel_offset;  // the offset is in bytes from the start of a packed panel
};

}  // namespace

int64_t Matmul::workspace_bytes(int64_t k, int64_t whole, int threads) {
  const int64_t longest = std::min(round_up(k, kPanelStep) + kPanelStep, kMaxPackedK);
  const int64_t panels = std::max({kPackBytes, kMinPanels * panel_bytes_f32(longest), panel_bytes_f32(round_up(whole, kPanelStep)), threads * kSlabBytes});
  return round_up(panels, 64) + threads * kThreadBytes;
}

void Matmul::operator()(const Product& p) const {
  const Term& t = p.terms[0];
  check(p.term_count >= 1 && p.term_count <= Product::kMostTerms && t.x.rows == p.out.rows && p.n == p.out.cols, "shapes", "matmul");
  check(p.swiglu == Swiglu::none || (p.out.dtype == t.x.dtype && p.gate.dtype == t.x.dtype && p.other.dtype == t.x.dtype && p.gate.rows == t.x.rows &&
                                     p.other.rows == t.x.rows && p.gate.cols == p.n && p.other.cols == p.n),
        "SwiGLU", "matmul");
  bool along_columns = true;
  for (int i = 0; i < p.term_count; i++) {
    const Mat& x = p.terms[i].x;
    check(x.dtype == t.x.dtype && x.rows == t.x.rows, "operands", "matmul");
    along_columns = along_columns && p.terms[i].along == Along::columns;
  }
  if ((t.x.rows <= kFewRows || p.together) && along_columns) few_rows(p);
  else blocked(p);
}

// Columns [n0, n0 + columns) of the right operand over [k0, k0 + k) of the contraction, k at most kMaxChunk, in panels panel_bytes
// apart. A format that is not stored plainly is decoded first, into a tile that stays in cache (scratch, kTileBytes).
void Matmul::pack(const Term& t, int64_t k0, int64_t k, int64_t n0, int64_t columns, DType operands, char* panels, int64_t panel_bytes,
                  void* scratch) const {
  if (operands == DType::f16) return pack_f16(t, k0, k, n0, columns, panels, panel_bytes, scratch);
  const bool forward = t.along == Along::columns, dots = operands == DType::bf16;
  if (t.w.format == Format::i8 && !forward && dots) return k_.pack_bwd_i8(t.w, k0, k, n0, columns, reinterpret_cast<bf16_t*>(panels), panel_bytes / 2);
  if (!t.w.plain() && !forward) {
    // Some panels side by side, for a row's codes share lines; and as many rows as leave the tile its size.
    const DType type = dots ? DType::bf16 : DType::f32;
    for (int64_t k1 = 0; k1 < k; k1 += kDecodedRows) {
      const int64_t rows = std::min(kDecodedRows, k - k1);
      for (int64_t first = 0; first < columns; first += kDecodedPanels * kPanelCols) {
        const int64_t n = std::min(kDecodedPanels * kPanelCols, columns - first);
        char* const to = panels + first / kPanelCols * panel_bytes + k1 * kPanelCols * dtype_bytes(type);
        k_.decode(t.w, k0 + k1, rows, n0 + first, n, type, scratch, n);
        if (dots) k_.pack_bwd_bf16(scratch, type, n, rows, n, reinterpret_cast<bf16_t*>(to), panel_bytes / 2);
        else k_.pack_bwd_f32(scratch, type, n, rows, n, reinterpret_cast<float*>(to), panel_bytes / 4);
      }
    }
    return;
  }
  const bool wide = !forward;  // all panels in one go
  for (int64_t end = n0 + columns, n = wide ? columns : kPanelCols; n0 < end; n0 += n, panels += panel_bytes) {
    n = std::min(n, end - n0);
    const int64_t row = forward ? n0 : k0, rows = forward ? n : k, col = forward ? k0 : n0, cols = forward ? k : n;
    DType type = dtype_of(t.w.format);
    int64_t ld = t.w.cols;
    const void* src = element(t.w.data, type, row * ld + col);
    if (!t.w.plain()) {
      type = dots ? DType::bf16 : DType::f32;
      ld = cols;
      src = scratch;
      k_.decode(t.w, row, rows, col, cols, type, scratch, ld);
    }
    if (forward && dots) k_.pack_fwd_bf16(src, type, ld, k, n, reinterpret_cast<bf16_t*>(panels));
    else if (forward) k_.pack_fwd_f32(src, type, ld, k, n, reinterpret_cast<float*>(panels));
    else if (dots) k_.pack_bwd_bf16(src, type, ld, k, n, reinterpret_cast<bf16_t*>(panels), panel_bytes / 2);
    else k_.pack_bwd_f32(src, type, ld, k, n, reinterpret_cast<float*>(panels), panel_bytes / 4);
  }
}

// Panel by panel through f32: a column's scale is known when the whole column is.
void Matmul::pack_f16(const Term& t, int64_t k0, int64_t k, int64_t n0, int64_t columns, char* panels, int64_t panel_bytes, void* scratch) const {
  float* const wide = reinterpret_cast<float*>(static_cast<char*>(scratch) + kTileBytes);
  for (int64_t c = 0; c < columns; c += kPanelCols, panels += panel_bytes) {
    pack(t, k0, k, n0 + c, std::min(kPanelCols, columns - c), DType::f32, reinterpret_cast<char*>(wide), panel_bytes_f32(k), scratch);
    k_.pack_f16(wide, k, reinterpret_cast<f16_t*>(panels));
  }
}

// y = dot products straight from the rows of W: each is read once, nothing is packed.
void Matmul::few_rows(const Product& p) const {
  // Outputs of a task: shared evenly, and many enough for a thread to fetch ahead its own rows only.
  constexpr int64_t kLeast = 16, kMost = 192;
  const int64_t m = p.out.rows, share = (p.n + 2 * pool_.threads() - 1) / (2 * pool_.threads()),
                outputs = std::clamp(round_up(share, kLeast), kLeast, kMost);
  const bool dots = p.terms[0].x.dtype == DType::bf16 && k_.gemv_bf16;  // else each thread widens x for itself
  pool_.run((p.n + outputs - 1) / outputs, [&](int64_t task, int) {
    const int64_t n0 = task * outputs, n = std::min(outputs, p.n - n0);
    float sums[kMostTogether * kMost], part[kMostTogether * kMost];
    Coming coming = coming_ && m > 1 ? coming_->take(n, format_bytes(p.terms[0].w.format, p.terms[0].w.cols)) : Coming{};
    for (int i = 0; i < p.term_count; i++) {
      const Term& t = p.terms[i];
      // The contraction goes through a small buffer in fixed pieces.
      float x[kMostTogether][kLongestDots];
      for (int64_t k0 = 0; k0 < t.x.cols; k0 += kLongestDots) {
        const int64_t k = std::min(kLongestDots, t.x.cols - k0);
        const bool first = i == 0 && k0 == 0;
        if (!first) coming = {};
        float* const out = first ? sums : part;
        for (int64_t r = 0; r < m && !dots; r++) r_.widen(element(t.x.row(r), t.x.dtype, k0), t.x.dtype, k, x[r]);
        if (dots) {
          k_.gemv_bf16(reinterpret_cast<const bf16_t*>(element(t.x.row(0), DType::bf16, k0)), t.x.ld, m, t.w, n0, n, k0, k, out, kMost, coming);
        } else if (t.w.plain()) {
          const DType type = dtype_of(t.w.format);
          k_.gemv(x[0], kLongestDots, m, element(t.w.data, type, n0 * t.w.cols + k0), type, t.w.cols, k, n, out, kMost, coming);
        } else {
          k_.gemv_coded(x[0], kLongestDots, m, t.w, n0, n, k0, k, out, kMost, coming);
        }
        if (first) continue;
        for (int64_t r = 0; r < m; r++) {
          for (int64_t j = 0; j < n; j++) sums[r * kMost + j] += part[r * kMost + j];
        }
      }
    }
    for (int64_t r = 0; r < m; r++) {
      r_.epilogue(sums + r * kMost, p.alpha, p.bias ? p.bias + n0 : nullptr, n, p.out.dtype, p.accumulate, element(p.out.row(r), p.out.dtype, n0));
      end_in_swiglu(p, r, n0, n);
    }
  });
}

void Matmul::end_in_swiglu(const Product& p, int64_t row, int64_t column, int64_t n) const {
  if (p.swiglu == Swiglu::none) return;
  const DType t = p.out.dtype;
  char *const out = element(p.out.row(row), t, column), *const gate = element(p.gate.row(row), t, column),
             *const other = element(p.other.row(row), t, column);
  if (p.swiglu == Swiglu::forward) r_.glu_fwd(Activation::silu, gate, out, n, t, other);
  else r_.glu_bwd(Activation::silu, out, gate, other, n, t, gate, other);
}

// A part of a product: some of the contraction of its terms, cut in stretches.
struct Matmul::Round {
  const Product& p;
  DType operands;  // as they are multiplied
  bool fused;      // sums that stay in registers until they are stored
  std::vector<Stretch> stretches;
  int64_t length = 0, panel_bytes = 0;
  bool first = true, last = false;  // later rounds are added to the output

  Round(const Product& product, DType in, bool is_fused) : p(product), operands(in), fused(is_fused) {}

  int count() const { return int(stretches.size()); }

  void next() {
    stretches.clear();
    length = panel_bytes = 0;
    first = false;
  }

  void add(const Term& t, int64_t begin, int64_t end) {
    length += end - begin;
    const int64_t chunk = chunk_length(end - begin);
    for (int64_t k0 = begin; k0 < end; k0 += chunk) {
      const int64_t k = std::min(chunk, end - k0);
      stretches.push_back({&t, k0, k, panel_bytes});
      panel_bytes += cpu::panel_bytes(operands, k);
    }
  }
};

// One stretch of some panels of the whole product.
void Matmul::pack(const Round& round, int stretch, int64_t panel, int64_t panels, char* packed, char* scratch) const {
  const Stretch& s = round.stretches[size_t(stretch)];
  const int64_t n0 = panel * kPanelCols, columns = std::min(panels * kPanelCols, round.p.n - n0);
  pack(*s.term, s.k0, s.k, n0, columns, round.operands, packed + s.panel_offset, round.panel_bytes, scratch);
}

// Rows [m0, m0 + rows) and `panels` panels from `panel` on, which lie at `packed`: the sums stay in registers until they are stored.
void Matmul::multiply_fused(const Round& round, int64_t m0, int64_t rows, int64_t panel, int64_t panels, const char* packed, char* area) const {
  const Product& p = round.p;
  const int64_t n0 = panel * kPanelCols;
  std::vector<HalfStretch> whole;
  whole.reserve(round.stretches.size());
  for (const Stretch& s : round.stretches) {
    const Mat& x = s.term->x;
    whole.push_back({reinterpret_cast<const uint16_t*>(element(x.row(m0), x.dtype, s.k0)), x.ld,
                     reinterpret_cast<const uint16_t*>(packed + s.panel_offset), s.k});
  }
  ProductOut out{element(p.out.row(m0), p.out.dtype, n0), p.out.ld, p.out.dtype, p.alpha, p.bias && round.first ? p.bias + n0 : nullptr,
                 p.accumulate || !round.first, std::min(panels * kPanelCols, p.n - n0)};
  if (p.swiglu != Swiglu::none) {
    out.swiglu = p.swiglu;
    out.gate = element(p.gate.row(m0), p.gate.dtype, n0);
    out.other = element(p.other.row(m0), p.other.dtype, n0);
    out.gate_ld = p.gate.ld;
    out.other_ld = p.other.ld;
  }
  float* const scratch = reinterpret_cast<float*>(area);
  if (round.operands == DType::f16) {
    k_.product_f16(whole.data(), round.count(), p.terms[0].x.dtype, round.panel_bytes / 2, panels, rows, out, scratch);
    return;
  }
  if (k_.begin) k_.begin();
  k_.product_bf16(whole.data(), round.count(), round.panel_bytes / 2, panels, rows, out, scratch);
  if (k_.end) k_.end();
}

// The same in blocks of rows, whose sums go through memory.
void Matmul::multiply(const Round& round, int64_t m0, int64_t rows, int64_t panel, int64_t panels, const char* packed, char* area) const {
  if (round.fused) return multiply_fused(round, m0, rows, panel, panels, packed, area);
  for (const int64_t end = m0 + rows; m0 < end; m0 += kBlockRows) multiply_block(round, m0, std::min(kBlockRows, end - m0), panel, panels, packed, area);
}

void Matmul::multiply_block(const Round& round, int64_t m0, int64_t rows, int64_t panel, int64_t panels, const char* packed, char* area) const {
  const Product& p = round.p;
  const int64_t sums_ld = panels * kPanelCols, n0 = panel * kPanelCols, n = std::min(sums_ld, p.n - n0);
  const bool add = p.accumulate || !round.first;
  const float* const bias = p.bias && round.first ? p.bias + n0 : nullptr;
  float* const sums = reinterpret_cast<float*>(area);
  char* const copy = area + kSumBytes;
  const bool dots = round.operands == DType::bf16;
  if (dots && k_.begin) k_.begin();
  for (int c = 0; c < round.count(); c++) {
    const Stretch& s = round.stretches[size_t(c)];
    const Mat& x = s.term->x;
    const int64_t k_padded = round_up(s.k, kPanelStep);
    const char* const first = packed + s.panel_offset;
    if (round.operands == DType::f16) {
      float scales[kBlockRows];
      f16_t* const scaled = reinterpret_cast<f16_t*>(copy);
      const int64_t ld = scaled_row(s.k);
      k_.scale_rows_f16(element(x.row(m0), x.dtype, s.k0), x.dtype, x.ld, s.k, rows, scaled, ld, scales);
      k_.gemm_f16(scaled, ld, scales, reinterpret_cast<const f16_t*>(first), round.panel_bytes / 2, panels, k_padded, rows, c > 0, sums, sums_ld);
      continue;
    }
    // x in place, or a copy: widened for f32 products, padded with zeros for dot products over a ragged end.
    const void* a = element(x.row(m0), x.dtype, s.k0);
    int64_t lda = x.ld;
    if (!dots && x.dtype != DType::f32) {
      for (int64_t r = 0; r < rows; r++) r_.widen(element(x.row(m0 + r), x.dtype, s.k0), x.dtype, s.k, reinterpret_cast<float*>(copy) + r * s.k);
      a = copy;
      lda = s.k;
    } else if (dots && s.k != k_padded) {
      for (int64_t r = 0; r < rows; r++) {
        char* to = copy + r * k_padded * 2;
        std::memcpy(to, element(x.row(m0 + r), x.dtype, s.k0), size_t(s.k * 2));
        std::memset(to + s.k * 2, 0, size_t((k_padded - s.k) * 2));
      }
      a = copy;
      lda = k_padded;
    }
    if (dots) {
      k_.gemm_bf16(static_cast<const bf16_t*>(a), lda, reinterpret_cast<const bf16_t*>(first), round.panel_bytes / 2, panels, k_padded, rows,
                   c > 0, sums, sums_ld);
      continue;
    }
    for (int64_t j = 0; j < panels; j++) {
      k_.gemm_f32(static_cast<const float*>(a), lda, reinterpret_cast<const float*>(first + j * round.panel_bytes), s.k, rows, c > 0,
                  sums + j * kPanelCols, sums_ld);
    }
  }
  if (dots && k_.end) k_.end();
  for (int64_t r = 0; r < rows; r++) {
    r_.epilogue(sums + r * sums_ld, p.alpha, bias, n, p.out.dtype, add, element(p.out.row(m0 + r), p.out.dtype, n0));
    if (round.last) end_in_swiglu(p, m0 + r, n0, n);
  }
}

void Matmul::blocked(const Product& p) const {
  const DType operands = operands_of(k_, p.terms[0].x.dtype);
  // Where the output can hold the sums in between, a long contraction goes in rounds.
  int64_t length = 0;
  for (int i = 0; i < p.term_count; i++) length += p.terms[i].x.cols;
  const bool in_rounds = p.out.dtype == DType::f32 && length > kRound + kRoundRest;
  const int64_t most = in_rounds ? kRound : length;
  const bool fused = (operands == DType::bf16 ? k_.product_bf16 != nullptr : operands == DType::f16 && k_.product_f16) && (in_rounds ? kRound + kRoundRest : length) <= k_.longest_product;
  Round round(p, operands, fused);
  const auto finish = [&] {
    if (round.stretches.empty()) return;
    round.panel_bytes = round_up(round.panel_bytes, 64);
    if (!by_columns(round)) by_rows(round);
    round.next();
  };
  for (int i = 0; i < p.term_count; i++) {
    const Term& t = p.terms[i];
    const int64_t parts = (t.x.cols + most - 1) / most, part = round_up((t.x.cols + parts - 1) / parts, kPanelStep);
    for (int64_t begin = 0, end; begin < t.x.cols; begin = end) {
      end = std::min(t.x.cols, begin + part);
      if (in_rounds && round.length + (end - begin) > kRound + kRoundRest) finish();
      round.add(t, begin, end);
    }
  }
  round.last = true;
  finish();
}

// Each task packs some panels into memory of its own, which stay in its L2 while all rows pass. Returns false where there are too
// few panels for that.
bool Matmul::by_columns(const Round& round) const {
  const int64_t threads = pool_.threads(), panels = (round.p.n + kPanelCols - 1) / kPanelCols, m = round.p.out.rows;
  char* const packed = work_ + threads * kThreadBytes;
  const int64_t bytes = (bytes_ - threads * kThreadBytes) / threads / 64 * 64;
  int64_t most = std::min(std::min(bytes, slab_bytes()) / round.panel_bytes, (panels + threads - 1) / threads);
  if (!round.fused) most = std::min(most, kBlockPanels);
  if (panels < (round.fused ? 1 : kManyPanels) * threads || most < 1) return false;
  // The largest group with which no thread has more panels to do than with a smaller one.
  const auto longest = [&](int64_t group) { return ((panels + group - 1) / group + threads - 1) / threads * group; };
  int64_t group = most;
  for (int64_t g = most - 1; g > most / 3; g--) {
    if (longest(g) < longest(group)) group = g;
  }
  pool_.run((panels + group - 1) / group, [&](int64_t task, int thread) {
    char* const mine = packed + thread * bytes;
    char* const area = work_ + thread * kThreadBytes;
    const int64_t panel = task * group, n = std::min(group, panels - panel);
    for (int c = 0; c < round.count(); c++) pack(round, c, panel, n, mine, area + kSumBytes);
    multiply(round, 0, m, panel, n, mine, area);
  });
  return true;
}

// All threads pack, then share the panels.
void Matmul::by_rows(const Round& round) const {
  const int64_t all_panels = (round.p.n + kPanelCols - 1) / kPanelCols, m = round.p.out.rows;
  char* const packed = work_ + pool_.threads() * kThreadBytes;
  const int64_t bytes = bytes_ - pool_.threads() * kThreadBytes, fit = bytes / round.panel_bytes;
  check(fit >= 1, "the workspace is too small", "matmul");
  const int64_t group = round.fused ? std::max<int64_t>(1, slab_bytes() / round.panel_bytes) : kBlockPanels;
  const int64_t piece = std::min(all_panels, fit >= group ? fit / group * group : fit);
  for (int64_t panel0 = 0; panel0 < all_panels; panel0 += piece) {
    const int64_t panels = std::min(piece, all_panels - panel0);
    const int64_t packs = (panels + kPackedTogether - 1) / kPackedTogether;
    pool_.run(packs * round.count(), [&](int64_t task, int thread) {
      const int64_t panel = task / round.count() * kPackedTogether, n = std::min(kPackedTogether, panels - panel);
      pack(round, int(task % round.count()), panel0 + panel, n, packed + panel * round.panel_bytes, work_ + thread * kThreadBytes + kSumBytes);
    });
    const int64_t row_blocks = (m + kBlockRows - 1) / kBlockRows, groups = (panels + group - 1) / group;
    pool_.run(row_blocks * groups, [&](int64_t task, int thread) {
      // Rows first: tasks that follow one another share the panels.
      const int64_t m0 = task % row_blocks * kBlockRows, panel = task / row_blocks * group;
      multiply(round, m0, std::min(kBlockRows, m - m0), panel0 + panel, std::min(group, panels - panel), packed + panel * round.panel_bytes,
               work_ + thread * kThreadBytes);
    });
  }
}

}  // namespace lowrank::cpu
