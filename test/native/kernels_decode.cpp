// Decoding, against Weight::get: the same f32, and that rounded once to bf16.
#include <bit>

#include "guarded.h"
#include "modes.h"
#include "stored.h"

namespace lowrank::test {

namespace {

// The weight of an address `offset` bytes behind a multiple of 64, between guards.
std::string check(const cpu::Kernels& k, const Stored& stored, int64_t offset, int64_t row, int64_t rows, int64_t col, int64_t cols, DType out,
                  int64_t ld) {
  Guarded memory(1, 1, int64_t(stored.bytes.size()), int64_t(stored.bytes.size()), offset);
  std::memcpy(memory.data(), stored.bytes.data(), stored.bytes.size());
  Weight w = stored.weight;
  w.data = memory.data();
  Guarded result(dtype_bytes(out), rows, cols, ld, 0);
  k.decode(w, row, rows, col, cols, out, result.data(), ld);
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < cols; c++) {
      const float value = w.get(row + r, col + c), expected = out == DType::f32 ? value : bf16_to_f32(f32_to_bf16(value));
      const float found = load_f32(result.data(), out, r * ld + c);
      if (std::bit_cast<uint32_t>(expected) == std::bit_cast<uint32_t>(found)) continue;
      return "element " + std::to_string(r) + ", " + std::to_string(c) + ": expected " + std::to_string(expected) + ", found " + std::to_string(found);
    }
  }
  return result.damage();
}

// Dot products from the codes, against dot products from the decoded weight: the same bits. dots: of rows of bf16.
std::string check_gemv(const cpu::Kernels& k, const Stored& stored, int64_t row, int64_t outputs, int64_t col, int64_t cols, int64_t rows, bool dots, Random& r) {
  Guarded memory(1, 1, int64_t(stored.bytes.size()), int64_t(stored.bytes.size()), r.pick({0, 1, 2, 7}));
  std::memcpy(memory.data(), stored.bytes.data(), stored.bytes.size());
  Weight w = stored.weight;
  w.data = memory.data();
  const DType act = dots ? DType::bf16 : DType::f32;
  const int64_t ld = cols + 3;
  Guarded decoded(dtype_bytes(act), outputs, cols, cols, 0), x(dtype_bytes(act), rows, cols, ld, 0), found(4, rows, outputs, outputs + 2, 0);
  for (int64_t o = 0; o < outputs; o++) {
    for (int64_t c = 0; c < cols; c++) store_f32(decoded.data(), act, o * cols + c, w.get(row + o, col + c));
  }
  for (int64_t m = 0; m < rows; m++) {
    for (int64_t c = 0; c < cols; c++) store_f32(x.data(), act, m * ld + c, r.symmetric());
  }
  std::vector<float> expected(size_t(rows * outputs));
  float* const y = static_cast<float*>(found.data());
  if (dots) {
    const Weight plain{.data = decoded.data(), .format = Format::bf16, .rows = outputs, .cols = cols};
    const bf16_t* const left = static_cast<const bf16_t*>(x.data());
    k.gemv_bf16(left, ld, rows, plain, 0, outputs, 0, cols, expected.data(), outputs, {});
    k.gemv_bf16(left, ld, rows, w, row, outputs, col, cols, y, outputs + 2, {});
  } else {
    const float* const left = static_cast<const float*>(x.data());
    k.gemv(left, ld, rows, decoded.data(), DType::f32, cols, cols, outputs, expected.data(), outputs, {});
    k.gemv_coded(left, ld, rows, w, row, outputs, col, cols, y, outputs + 2, {});
  }
  for (int64_t i = 0; i < rows * outputs; i++) {
    const float a = expected[size_t(i)], b = y[i / outputs * (outputs + 2) + i % outputs];
    if (std::bit_cast<uint32_t>(a) != std::bit_cast<uint32_t>(b)) return "product " + std::to_string(i) + ": expected " + std::to_string(a) + ", found " + std::to_string(b);
  }
  return found.damage();
}

// Panels straight from the codes, against panels of the decoded weight: the same bits.
std::string check_pack(const cpu::Kernels& k, const Stored& stored, int64_t row, int64_t rows, int64_t col, int64_t cols, Random& r) {
  Guarded memory(1, 1, int64_t(stored.bytes.size()), int64_t(stored.bytes.size()), r.pick({0, 1, 2, 7}));
  std::memcpy(memory.data(), stored.bytes.data(), stored.bytes.size());
  Weight w = stored.weight;
  w.data = memory.data();
  const int64_t panels = (cols + cpu::kPanelCols - 1) / cpu::kPanelCols, size = cpu::panel_bytes_bf16(rows) / 2, stride = size + r.pick({0, 32});
  Guarded decoded(2, rows, cols, cols, 0), expected(2, panels, size, stride, 0), found(2, panels, size, stride, 0);
  k.decode(w, row, rows, col, cols, DType::bf16, decoded.data(), cols);
  bf16_t *const a = static_cast<bf16_t*>(expected.data()), *const b = static_cast<bf16_t*>(found.data());
  k.pack_bwd_bf16(decoded.data(), DType::bf16, cols, rows, cols, a, stride);
  k.pack_bwd_i8(w, row, rows, col, cols, b, stride);
  for (int64_t i = 0; i < panels * size; i++) {
    const int64_t at = i / size * stride + i % size;
    if (a[at] != b[at]) return "element " + std::to_string(i) + ": expected " + std::to_string(a[at]) + ", found " + std::to_string(b[at]);
  }
  return found.damage();
}

}  // namespace

void test_decoding(const cpu::InstructionSet& isa, Report& report) {
  Random r(17);
  const auto expect = [&](const Stored& s, int64_t row, int64_t rows, int64_t col, int64_t cols) {
    const std::string size = std::to_string(rows) + " x " + std::to_string(cols);
    for (const DType out : {DType::f32, DType::bf16}) {
      const int64_t offset = r.pick({0, 1, 2, 7, 32});
      const std::string wrong = check(*isa.kernels, s, offset, row, rows, col, cols, out, cols + r.pick({0, 1, 16}));
      report.expect(wrong.empty(),
                    "twin [" + std::string(isa.name) + "] decode " + format_name(s.weight.format) + " " + std::to_string(s.weight.rows) + " x " +
                        std::to_string(s.weight.cols) + (s.weight.interleaved ? " interleaved" : "") + ", from " + std::to_string(row) + ", " +
                        std::to_string(col) + ": " + size + " to " + dtype_name(out),
                    wrong);
    }
    if (s.weight.format == Format::i8) {
      const std::string wrong = check_pack(*isa.kernels, s, row, rows, col, cols, r);
      report.expect(wrong.empty(), "twin [" + std::string(isa.name) + "] pack_bwd_i8 from " + std::to_string(row) + ", " + std::to_string(col) + ": " + size, wrong);
    }
    for (const bool dots : {false, true}) {
      for (const int64_t m : {1, 3, 4, 6}) {
        if (dots && !isa.kernels->gemv_bf16) continue;
        const std::string wrong = check_gemv(*isa.kernels, s, row, rows, col, cols, m, dots, r);
        report.expect(wrong.empty(),
                      "twin [" + std::string(isa.name) + "] " + (dots ? "gemv_bf16 " : "gemv_coded ") + format_name(s.weight.format) + " rows=" +
                          std::to_string(m) + " from " + std::to_string(row) + ", " + std::to_string(col) + ": " + size,
                      wrong);
      }
    }
  };
  std::vector<Format> formats = kQuantized;
  for (const Format f : {Format::f32, Format::bf16, Format::f16}) formats.push_back(f);
  for (const Format f : formats) {
    const int64_t block = std::max<int64_t>(32, format_info(f).block);
    for (const int64_t interleaved : {0, 8}) {
      for (const bool nested : {false, true}) {
        if (nested && !is_four_bit(f)) continue;
        Stored s;
        make_stored(s, {f, interleaved, r.pick({64, 64, 32, 128}), nested}, 24, 3 * block, r);
        if (is_plain(f)) {  // random bits are not always numbers
          for (int64_t i = 0; i < 24 * 3 * block; i++) store_f32(s.bytes.data(), dtype_of(f), i, r.symmetric());
        }
        expect(s, 0, 24, 0, 3 * block);
        expect(s, 3, 8, block, block);
        expect(s, 7, 17, 32, 32);
        expect(s, 23, 1, 2 * block, 32);
        for (const int64_t cols : {1, 5, 31, 33}) expect(s, 5, 3, 0, std::min(cols, 3 * block));
        expect(s, 2, 2, 3, 29);
        expect(s, 2, 2, 5, 60);
      }
    }
  }
  // Rows of four bits that begin anywhere in a byte and a block; blocks of all sizes.
  for (const int64_t cols : {1, 7, 33, 63, 96}) {
    for (const int64_t block_size : {64, 32, 128, 20, 7}) {
      for (const Format f : {Format::nf4, Format::fp4}) {
        Stored s;
        make_stored(s, {f, 0, block_size, r.coin()}, 9, cols, r);
        expect(s, 0, 9, 0, cols);
        if (cols > 8) expect(s, 2, 5, 3, cols - 5);
      }
    }
  }
  for (const int64_t cols : {1, 7, 33, 63}) {
    Stored s;
    make_stored(s, {Format::i8}, 5, cols, r);
    expect(s, 0, 5, 0, cols);
    s.weight.absmax = nullptr;  // the codes alone
    expect(s, 0, 5, 0, cols);
  }
}

}  // namespace lowrank::test
