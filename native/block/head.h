// The final norm and the head, for the supervised tokens alone.
#pragma once
#include "block/block.h"

namespace lowrank {

class Head {
 public:
  void place(Place&, int64_t dim);
  // The tokens that are learned, with the tokens that follow them: (n) each, in the backend's memory.
  struct Learned {
    const int32_t *rows, *labels;
    int64_t count;
  };
  // loss_sum += the sum of their losses, in the backend's memory. Of Mode::train the stream's gradient, too: the scales
  // (as HeadArgs') times that sum's.
  void loss(const Pass&, const Stream&, const Learned&, double loss_scale, const double* dynamic_scale, double* loss_sum) const;
  // Logits of some rows of the stream: (n, V) f32. h: (n, C) act, used up
  static void logits(const Pass&, const Mat& x, const Mat& h, const Mat& logits);

 private:
  Rows x_, h_, dh_;  // (N, C) f32, then its gradient; (N, C) act; (N, C) f32
  Norm norm_;
};

}  // namespace lowrank
