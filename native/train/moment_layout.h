// Where the moments of an 8-bit AdamW lie: of each adapter tensor in its own place, small ones in f32.
#pragma once
#include <string>
#include <vector>

#include "model/adapter.h"

namespace lowrank {

// Tensors with fewer elements stay in f32, as in bitsandbytes.
constexpr int64_t kLeast8bitElements = 4096;

struct MomentPart {
  std::string name;            // of the tensor
  int64_t begin, elements;     // within the flat buffer of the parameters
  bool is_8bit;
  int64_t blocks;              // of 8-bit ones
  int64_t m, v, m_max, v_max;  // byte offsets: codes and f32 maxima, or f32 moments and nothing
};

class MomentLayout {
 public:
  MomentLayout() = default;
  explicit MomentLayout(const AdapterLayout&);

  const std::vector<MomentPart>& parts() const { return parts_; }
  int64_t bytes() const { return bytes_; }

 private:
  std::vector<MomentPart> parts_;
  int64_t bytes_ = 0;
};

}  // namespace lowrank
