// Forms of linears and of attention that are measured against each other: switches of the environment. They decide the last bits of results.
#pragma once
#include <cstdint>
#include <string>

namespace lowrank::cuda {

constexpr const char* kAttention = "LOWRANK_CUDA_ATTENTION";
// Whether LOWRANK_CUDA_ATTENTION says that all of attention is computed through products of matrices: "products", or a number of bytes for scores.
bool wants_attention_products();

// LOWRANK_CUDA_DECODED: elements of a weight that are decoded at a time, for tests; it takes the place of kMostDecoded.
constexpr const char* kDecoded = "LOWRANK_CUDA_DECODED";
// A number of the environment above 0, or the other one.
int64_t number_of_environment(const char* variable, int64_t otherwise);

struct Switches {
  // LOWRANK_CUDA_F32_SUMS=on. Else the adapter's term of a rounded result is rounded first, in the result's place, and the weight's product is added to it.
  bool sums_in_f32 = false;
  // LOWRANK_CUDA_BORDERED=on: the adapter's columns lie beside the weight's, and both terms are one product.
  bool bordered = false;
  // LOWRANK_CUDA_ATTENTION: all of attention goes through products (AttentionParts reads it, too).
  bool attention_products = false;

  static Switches of_environment();

  // Lines before a text of plans that say which of them are on; and such a text without them, of a run with the same. Else `why` says in words which differs.
  std::string before(const std::string& plans) const;
  std::string behind(const std::string& text, std::string& why) const;
};

}  // namespace lowrank::cuda
