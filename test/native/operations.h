// Facts of each operation that the modes need: its operands, how it is called, how exact its results must be.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cases.h"
#include "random.h"
#include "slots.h"

namespace lowrank::test {

// How far each element of each output may lie from the twin's, before it is rounded for storing.
struct Bounds {
  static constexpr double kExact = -1;  // the very value that the twin stores
  std::map<std::string, std::vector<double>> of;
  double scalar = 0;
};

// The facts that the bounds of a case depend on besides its operands.
struct Arithmetic {
  double operand = 0;   // relative error of rounding an operand of a product, where products read both in 16 bits
  double term = 0;      // of rounding an adapter's term to act before it is added, where it is the one beside the weight's
  double least = 0;     // of rounding a weight of attention or its gradient, absolutely, where products read them in 16 bits
  bool chains = false;  // sums of linears and of the head go in chains of f16 (chains.h); attention's in f32, of f32
};

struct Operation {
  const char* name;
  void (*define)(const Case&, Slots&);
  void (*call)(const Case&, Backend&, Memory&);
  // twin: the memory after the twin ran; its inputs are the tested run's.
  void (*bound)(const Case&, const Arithmetic&, const Memory& twin, const Slots&, Bounds&);
  double (*work)(const Case&);  // multiply-adds or, for passes over memory, bytes
  bool counts_bytes;
};

// The heads of q, k and v, or with "d" of their gradients, as the case lays them out: in slots q, k and v, or in qkv.
struct AttentionHeads {
  Heads q, k, v;
};
AttentionHeads attention_heads(const Case&, const Memory&, const std::string& prefix = "");
AttentionShape attention_shape(const Case&, const Memory&);
// A turn of the query heads in x.
RopeArgs rope_args(const Case&, const Memory&, const Mat& x, bool inverse);

// The weight of a case, in memory as it is stored: rows, cols = features, in.
void define_weight(const Case&, Slots&, const char* name, Random&);
// The relative error that rounding it for products makes.
double weight_error(const Case&, const Arithmetic&);

const std::vector<Operation>& operations();
const Operation& operation(const std::string& name);

// The smallest bounds of a workspace for this case; larger ones where it is roomy.
OpLimits limits_of(const Case&);

// The parts of the table, in a file each.
extern const std::vector<Operation> kLinearOperations, kRowOperations, kAttentionOperations, kHeadOperations, kColumnOperations,
    kOptimizerOperations, kDenseOperations, kSampleOperations;

}  // namespace lowrank::test
