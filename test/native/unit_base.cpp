// Conversions and the generator.
#include <bit>
#include <cmath>
#include <limits>

#include "base/dtype.h"
#include "base/rng.h"
#include "modes.h"
#include "operations.h"

namespace lowrank::test {

namespace {

bool is_nan16(uint16_t h, int mantissa_bits) {
  const uint16_t exponent = uint16_t((0x7fff >> mantissa_bits) << mantissa_bits);
  return (h & 0x7fff) > exponent;
}

// The value of a pattern, from the definition of the format.
double value16(uint16_t h, int mantissa_bits, int bias) {
  const int exponent = (h & 0x7fff) >> mantissa_bits, mantissa = h & ((1 << mantissa_bits) - 1),
            top = 0x7fff >> mantissa_bits;
  const double sign = h & 0x8000 ? -1 : 1;
  if (exponent == top) return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(double(mantissa), 1 - bias - mantissa_bits);
  return sign * std::ldexp(double((1 << mantissa_bits) + mantissa), exponent - bias - mantissa_bits);
}

// Every pattern there and back, and the rounding between every two neighbours: below, at and above the middle.
template <class ToF32, class FromF32>
void exhaust(const char* name, int mantissa_bits, int bias, ToF32 to_f32, FromF32 from_f32, Report& report) {
  int64_t values = 0, back = 0, nans = 0, middles = 0;
  for (uint32_t i = 0; i < 65536; i++) {
    const uint16_t h = uint16_t(i);
    const float f = to_f32(h);
    if (is_nan16(h, mantissa_bits)) {
      nans += std::isnan(f) && is_nan16(from_f32(f), mantissa_bits);
      continue;
    }
    values += double(f) == value16(h, mantissa_bits, bias) && std::signbit(f) == ((h & 0x8000) != 0);
    back += from_f32(f) == h;
    // Its neighbour away from zero, unless this is infinity; beyond the largest number that is the next power of two.
    const uint16_t next = uint16_t(h + 1);
    if (is_nan16(next, mantissa_bits)) continue;
    const double a = value16(h, mantissa_bits, bias);
    const bool last = !std::isfinite(value16(next, mantissa_bits, bias));
    const double b = last ? std::copysign(std::ldexp(1.0, bias + 1), a) : value16(next, mantissa_bits, bias);
    const float middle = float((a + b) / 2);
    if (double(middle) != (a + b) / 2) continue;  // not an f32: bf16 at the end of the range
    const uint16_t even = h & 1 ? next : h;
    const float toward = std::nextafterf(middle, float(a)),
                away = std::nextafterf(middle, std::copysign(std::numeric_limits<float>::infinity(), middle));
    middles += from_f32(middle) == even && from_f32(toward) == h && from_f32(away) == next;
  }
  const int64_t patterns = 65536, nan_patterns = 2 * ((1 << mantissa_bits) - 1);
  const std::string label = std::string("unit: ") + name;
  report.expect(values == patterns - nan_patterns, label + " to f32", std::to_string(values) + " of the values are right");
  report.expect(back == patterns - nan_patterns, label + " and back", std::to_string(back) + " of the values come back");
  report.expect(nans == nan_patterns, label + " NaN stays NaN", std::to_string(nans) + " of them do");
  report.expect(middles >= patterns - nan_patterns - 4, label + " rounds to nearest, ties to even",
                "around " + std::to_string(middles) + " middles");
}

// Every operation of the one list is in the table that the modes go over, under its name.
void test_operation_list(Report& report) {
  const char* const listed[] = {
#define LOWRANK_OP(operation, Args) #operation,
#include "ops/operations.inc"
  };
  for (const std::string name : listed) {
    bool found = false;
    for (const Operation& o : operations()) found = found || name == o.name;
    report.expect(found, "unit: operation " + name + " has cases");
  }
}

}  // namespace

void test_dtypes(Report& report) {
  exhaust("bf16", 7, 127, bf16_to_f32, f32_to_bf16, report);
  exhaust("f16", 10, 15, f16_to_f32, f32_to_f16, report);
  const float inf = std::numeric_limits<float>::infinity();
  report.expect(f32_to_bf16(inf) == 0x7f80 && f32_to_bf16(-inf) == 0xff80, "unit: bf16 infinities");
  report.expect(f32_to_bf16(std::numeric_limits<float>::max()) == 0x7f80, "unit: bf16 rounds up to infinity");
  report.expect(f32_to_f16(65519.f) == 0x7bff && f32_to_f16(65520.f) == 0x7c00 && f32_to_f16(-1e30f) == 0xfc00,
                "unit: f16 overflows at 65520");
  report.expect(f32_to_f16(0x1p-25f) == 0 && f32_to_f16(0x1.000002p-25f) == 1 && f32_to_f16(-0x1p-26f) == 0x8000,
                "unit: f16 underflows at 2^-25");
  // A signalling NaN whose payload lies in the dropped bits only.
  report.expect(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))),
                "unit: bf16 keeps a NaN with a low payload");
  report.expect(std::isnan(f16_to_f32(f32_to_f16(std::bit_cast<float>(0x7f800001u)))),
                "unit: f16 keeps a NaN with a low payload");
  bool stores = true;
  for (const DType t : {DType::f32, DType::bf16, DType::f16}) {
    char memory[8] = {};
    store_f32(memory, t, 1, -1.5f);
    stores = stores && load_f32(memory, t, 1) == -1.5f && load_f32(memory, t, 0) == 0.f;
  }
  report.expect(stores, "unit: load_f32 reads what store_f32 wrote");
}

void test_generator(Report& report) {
  // Known answers of Random123's kat_vectors for philox4x32-10: counter words, key words, result.
  struct Known {
    uint32_t counter[4], key[2], result[4];
  };
  constexpr Known kKnown[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  const auto wide = [](uint32_t low, uint32_t high) { return uint64_t(high) << 32 | low; };
  for (const Known& k : kKnown) {
    const auto got = philox(wide(k.key[0], k.key[1]), wide(k.counter[2], k.counter[3]), wide(k.counter[0], k.counter[1]));
    report.expect(std::equal(got.begin(), got.end(), k.result),
                  "unit: philox4x32-10 with counter " + std::to_string(k.counter[0]));
  }
  report.expect(uniform01(0) == 0.f && uniform01(0xffffffff) < 1.f && uniform01(0x80000000) == 0.5f,
                "unit: uniform01 is in [0, 1)");

  const Dropout whole{0.25f, 42, 7, 0}, rest{0.25f, 42, 7, 1003};
  int64_t kept = 0;
  bool pieces = true;
  for (uint64_t i = 0; i < 100000; i++) kept += whole.keep(i);
  for (uint64_t i = 0; i < 1000; i++) pieces = pieces && rest.keep(i) == whole.keep(i + 1003);
  // Six standard deviations of a binomial with n = 100,000 and p = 0.75
  report.expect(std::fabs(double(kept) - 75000) < 6 * std::sqrt(100000 * 0.75 * 0.25), "unit: dropout keeps 1 - p",
                std::to_string(kept));
  report.expect(pieces, "unit: a mask in pieces is the same mask");
  report.expect(!Dropout{}.active(), "unit: no dropout by default");
  test_operation_list(report);
}

}  // namespace lowrank::test
