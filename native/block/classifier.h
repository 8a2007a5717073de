// The end of a classifier: the state of one token of each text, through dense layers to logits.
#pragma once
#include <vector>

#include "block/block.h"

namespace lowrank {

class Classifier {
 public:
  void place(Place&, const ModelSpec&);
  // The tokens that are read, one a text, and the texts' labels, in the backend's memory; labels: null where nothing is learned.
  struct Pooled {
    const int32_t* rows;
    const float* labels;
    int64_t count;
  };
  // (n, labels) f32. Error E_STATE where neither the files nor an adapter have a layer.
  Mat logits(const Pass&, const Stream&, const Pooled&) const;
  // Of these logits: loss_sum += the texts' losses, in the backend's memory. Of Mode::train the stream's gradient, and the gradients of the
  // trained layers, too: the pass's scale and the dynamic one (as HeadArgs') times that sum's.
  void loss(const Pass&, const Stream&, const Pooled&, const Mat& logits, const double* dynamic_scale, double* loss_sum) const;

 private:
  struct Layer {
    Rows d, y, dd;  // (N, I), (N, O), (N, I) f32: its input as it is read, its output, its input's gradient
  };
  Rows x_, h_;  // (N, C) f32, then its gradient; (N, C) act
  Norm norm_;
  std::vector<Layer> layers_;
};

}  // namespace lowrank
