// The final norm, a projection where there is one, and the head, for the supervised tokens alone.
#pragma once
#include "block/block.h"

namespace lowrank {

class Head {
 public:
  void place(Place&, const ModelSpec&);
  // The tokens that are learned, with the tokens that follow them: (n) each, in the backend's memory.
  struct Learned {
    const int32_t *rows, *labels;
    int64_t count;
  };
  // loss_sum += the sum of their losses, in the backend's memory. Of Mode::train the stream's gradient, too: the
  // pass's scale and the dynamic one (as HeadArgs') times that sum's.
  void loss(const Pass&, const Stream&, const Learned&, const double* dynamic_scale, double* loss_sum) const;
  // Logits of some rows of the stream: (n, V) f32. h: (n, C) act, used up. own: (n, rows of single tokens) f32, which stand for
  // the logits of these tokens; data null where there are none
  void logits(const Pass&, const Mat& x, const Mat& h, const Mat& logits, const Mat& own) const;

 private:
  // h, or its projection.
  Mat projected(const Pass&, const Mat& h) const;

  Rows projected_, d_projected_, rounded_;  // (N, E) act; (N, E) f32, its gradient; (N, E) act, the gradient rounded
  Rows x_, h_, dh_;  // (N, C) f32, then its gradient; (N, C) act; (N, C) f32
  Norm norm_;
};

}  // namespace lowrank
