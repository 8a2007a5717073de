// Forms of linears and of attention that are measured against each other: switches of the environment. They decide the last bits of results.
#pragma once
#include <string>

namespace lowrank::cuda {

constexpr const char* kAttention = "LOWRANK_CUDA_ATTENTION";
// Whether LOWRANK_CUDA_ATTENTION says that all of attention is computed through products of matrices: "products", or a number of bytes for scores.
bool wants_attention_products();

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
