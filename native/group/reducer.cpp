#include "group/reducer.h"

#include <algorithm>

namespace lowrank {

void Reducer::sum(float* values, int64_t n) {
  const int64_t ranks = size();
  if (ranks == 1) return;
  for (int64_t at = 0; at < n; at += piece()) {
    const int64_t length = std::min(piece(), n - at), chunk = (length + ranks - 1) / ranks;
    // Each rank adds up a part of the piece.
    std::vector<int> counts;
    for (int64_t r = 0; r < ranks; r++) counts.push_back(int(std::clamp<int64_t>(length - r * chunk, 0, chunk)));
    const int64_t own = counts[size_t(rank())];
    float* const parts = received(own * ranks);
    exchange(values + at, counts, parts);
    add(parts, own, values + at + std::min(rank() * chunk, length));
    gather_sums(counts, values + at);
  }
}

}  // namespace lowrank
