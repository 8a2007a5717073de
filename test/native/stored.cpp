#include "stored.h"

#include <cstddef>
#include <cstring>

#include "quant/blocks.h"

namespace lowrank::test {

namespace {

void put_f16(uint8_t* at, float value) {
  const f16_t h = f32_to_f16(value);
  std::memcpy(at, &h, 2);
}

// Every bit of a block is random but for its f16 scales.
void set_scales(Format f, uint8_t* b, Random& r) {
  const auto around = [&](float x) { return x * float(0.5 + r.uniform()); };
  switch (f) {
    case Format::q4_0: put_f16(b, around(0.1f)); break;
    case Format::q4_1: put_f16(b, around(0.1f)), put_f16(b + 2, -around(0.8f)); break;
    case Format::q5_0: put_f16(b, around(0.05f)); break;
    case Format::q8_0: put_f16(b, around(0.006f)); break;
    case Format::q4_k:
    case Format::q5_k: put_f16(b, around(f == Format::q4_k ? 1e-3f : 5e-4f)), put_f16(b + 2, around(8e-3f)); break;
    case Format::q6_k: put_f16(b + offsetof(Q6_K, d), around(2e-4f)); break;
    default: break;
  }
}

}  // namespace

void make_stored(Stored& out, const StoredAs& as, int64_t rows, int64_t cols, Random& r) {
  const FormatInfo& info = format_info(as.format);
  out.bytes.resize(size_t(format_bytes(as.format, rows * cols)));
  for (uint8_t& b : out.bytes) b = uint8_t(r.next());
  if (info.block > 2) {
    for (size_t at = 0; at < out.bytes.size(); at += size_t(info.block_bytes)) set_scales(as.format, &out.bytes[at], r);
  }
  Weight w{.data = out.bytes.data(), .format = as.format, .rows = rows, .cols = cols};
  w.interleaved = as.interleaved;
  w.block_size = as.block_size;
  w.outlier_threshold = as.threshold;
  w.gradient_codes = as.gradients;
  if (as.format == Format::i8) {
    for (int64_t i = 0; i < rows; i++) out.absmax.push_back(float(0.5 + r.uniform()));
  }
  if (is_four_bit(as.format)) {
    const int64_t blocks = (rows * cols + as.block_size - 1) / as.block_size;
    for (int64_t i = 0; i < (as.nested ? (blocks + 255) / 256 : blocks); i++) out.absmax.push_back(float(0.5 + r.uniform()));
    if (as.nested) {
      for (int i = 0; i < 256; i++) out.map.push_back(float(i - 128) / 300);
      for (int64_t i = 0; i < blocks; i++) out.codes.push_back(uint8_t(r.next()));
      w.absmax_codes = out.codes.data();
      w.absmax_map = out.map.data();
      w.absmax_offset = 0.7f;
    }
  }
  w.absmax = out.absmax.data();
  out.weight = w;
}

}  // namespace lowrank::test
