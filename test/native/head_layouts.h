// Where models have the heads of q, k and v.
#pragma once
#include "model/spec.h"

namespace lowrank::test {

enum class HeadLayout {
  separate,      // q, k and v are linears of their own
  concatenated,  // all of q, all of k, all of v, as in GPT-2 and Phi-3
  grouped,       // the q of a group, its k, its v, as in Falcon; with one q a group per head, as in GPT-NeoX and BLOOM
};
inline constexpr HeadLayout kFusedLayouts[] = {HeadLayout::concatenated, HeadLayout::grouped};

inline const char* layout_name(HeadLayout l) {
  return l == HeadLayout::separate ? "separate" : l == HeadLayout::concatenated ? "concatenated" : "grouped";
}

struct HeadViews {
  HeadView q, k, v;
};

inline HeadViews head_views(HeadLayout layout, int64_t heads, int64_t kv_heads, int64_t dim) {
  const int64_t group = kv_heads > 0 ? heads / kv_heads * dim : 0, q = heads * dim, kv = kv_heads * dim, all = group + 2 * dim;
  switch (layout) {
    case HeadLayout::concatenated: return {{0, 0, group, dim}, {0, q, dim, dim}, {0, q + kv, dim, dim}};
    case HeadLayout::grouped: return {{0, 0, all, dim}, {0, group, all, dim}, {0, group + dim, all, dim}};
    default: return {{0, 0, group, dim}, {1, 0, dim, dim}, {2, 0, dim, dim}};
  }
}

}  // namespace lowrank::test
