#include "model/stored_weight.h"

#include <cstring>

namespace lowrank {

float StoredWeight::get(int64_t r, int64_t c) const {
  if (row_blocks.empty()) return weight.get(r, c);
  const int64_t block = weight.rows * weight.cols / int64_t(row_blocks.size()), at = r * weight.cols + c;
  const int64_t source = row_blocks[size_t(at / block)] * block + at % block;
  return weight.get(source / weight.cols, source % weight.cols);
}

std::vector<char> StoredWeight::in_order() const {
  std::vector<char> copy(size_t(weight.rows * format_bytes(weight.format, weight.cols)));
  const size_t bytes = copy.size() / row_blocks.size();
  for (size_t i = 0; i < row_blocks.size(); i++) {
    std::memcpy(copy.data() + i * bytes, static_cast<const char*>(weight.data) + size_t(row_blocks[i]) * bytes, bytes);
  }
  return copy;
}

}  // namespace lowrank
