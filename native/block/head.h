// The head of a language model, for the supervised tokens alone.
#pragma once
#include "block/final.h"

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
  void loss(const Pass&, const Final&, const Stream&, const Learned&, const double* dynamic_scale, double* loss_sum) const;
  // Logits of what Final gives: (n, V) f32. own: (n, rows of single tokens) f32, which stand for the logits of these tokens; data null where there are
  // none
  static void logits(const Pass&, const Mat& input, const Mat& logits, const Mat& own);

 private:
  Rows dx_;  // (N, E) f32: its input's gradient
};

}  // namespace lowrank
