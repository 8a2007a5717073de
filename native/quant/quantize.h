// Quantising a frozen weight as bitsandbytes does on a CPU (0.50): the same codes and maxima, bit for bit.
#pragma once
#include <memory>

#include "base/large_page_allocator.h"
#include "base/thread_pool.h"
#include "quant/weight.h"

namespace lowrank {

struct QuantizeSpec {
  Format format = Format::f32;  // nf4, fp4 or i8; f32: nothing is quantised
  bool double_quant = false;    // of nf4 and fp4: the maxima are quantised, too
  int64_t block_size = 64;      // of nf4 and fp4
};

// Its codes and statistics, and the view of them.
class QuantizedWeight {
 public:
  // w is stored plainly, in order.
  QuantizedWeight(const Weight& w, const QuantizeSpec&, ThreadPool&);
  QuantizedWeight(const QuantizedWeight&) = delete;
  QuantizedWeight& operator=(const QuantizedWeight&) = delete;

  // False: the weight holds NaN or infinity, and the codes mean nothing.
  bool finite() const { return finite_; }
  // False: f16, which codes of 8 bits are made from, cannot hold the weight, and the codes mean nothing.
  bool fits() const { return fits_; }
  const Weight& view() const { return view_; }
  int64_t bytes() const { return int64_t(codes_.size() + absmax_codes_.size()) + int64_t(absmax_.size()) * 4; }
  const LargePageVector<uint8_t>& codes() const { return codes_; }
  const LargePageVector<float>& absmax() const { return absmax_; }  // of nested ones: of 256 maxima each
  const LargePageVector<uint8_t>& absmax_codes() const { return absmax_codes_; }

 private:
  LargePageVector<uint8_t> codes_, absmax_codes_;
  LargePageVector<float> absmax_;
  Weight view_;
  bool finite_ = true, fits_ = true;
};

// The bytes of its result.
int64_t quantized_bytes(const QuantizeSpec&, int64_t rows, int64_t cols);

// Blocks of a flattened weight: codes (n / 2 rounded up), the first of a pair in the high nibble; absmax, one a block.
// Only whole blocks but for the last one of the weight; block_size is even.
void quantize_four_bit(Format, const float* x, int64_t n, int64_t block_size, uint8_t* codes, float* absmax);

// Blocks of n values by the dynamic map (Dettmers, 2015): codes (n), absmax one a block.
void quantize_dynamic(const float* x, int64_t n, int64_t block_size, uint8_t* codes, float* absmax);

// Rows (LLM.int8, Dettmers et al., 2022): codes (rows, cols), absmax (rows) of the values rounded to f16.
void quantize_rows(const float* x, int64_t rows, int64_t cols, int8_t* codes, float* absmax);

}  // namespace lowrank
