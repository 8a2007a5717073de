// The slow twin: every operation of ops/operations.inc in double precision, in the most obvious loops. The fast backends are
// held against it, so it is never optimised. Any matrix may have any dtype; results are rounded when stored.
//
// Where a fast backend rounds to act and the twin does not (the tests' bounds allow for it):
//   weights, lora a and b    dot products of bf16 read them as bf16, the twin as stored
//   dx of linear_bwd         with dropout its two terms are rounded before they are added
//   p and ds of attention    are bf16 operands of the second products
//   logits and their gradient in the head are stored as act
// The twin does round dropout(x), u and du, which arguments.h calls act.
#pragma once
#include <vector>

#include "ops/backend.h"

namespace lowrank {

class RefBackend final : public HostBackend {
 public:
  std::string name() const override { return "ref"; }
  int64_t workspace_bytes(const OpLimits&) const override { return 0; }

 private:
  void do_set_workspace(const OpLimits&, void*) override {}
#define LOWRANK_OP(operation, Args) void do_##operation(const Args&) override;
#include "ops/operations.inc"
};

// v as an element of dtype t holds it.
double ref_round(double v, DType t);

// The elements of a weight (rows * cols, as Weight::get reads them), decoded once: a product reads each of them for every token.
std::vector<double> ref_weight(const Weight&);

// LLM.int8's codes of activations, see LinearFwdArgs.
struct RefInt8 {
  std::vector<double> codes;   // (M, I), 0 in columns with outliers
  std::vector<double> maxima;  // (M)
  std::vector<bool> outliers;  // (I)
};
RefInt8 ref_int8(const Mat& x, float threshold);
// The codes of a gradient, see LinearBwdArgs.
struct RefGradient {
  std::vector<double> codes;   // (M, O)
  std::vector<double> maxima;  // (M)
};
RefGradient ref_gradient(const Mat& dy, const Weight&, const Dropout& numbers);
// The code of a weight in i8.
double ref_int8_code(const Weight& w, int64_t r, int64_t c);

// Element i of dropout(x) as a product reads it: x / (1 - p) in f32, rounded to x's dtype.
double ref_dropout(double x, const Dropout&, uint64_t i, DType t);

}  // namespace lowrank
