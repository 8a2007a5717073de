// A weight as its file has it: blocks of its rows may lie in another order.
#pragma once
#include <cstdint>
#include <vector>

#include "quant/weight.h"

namespace lowrank {

struct StoredWeight {
  Weight weight;                    // with the rows where they lie
  std::vector<int64_t> row_blocks;  // as TensorEntry's; of a vector, which is one row here, blocks of its elements

  float get(int64_t r, int64_t c) const;
  // The bytes with the blocks in order.
  std::vector<char> in_order() const;
};

}  // namespace lowrank
