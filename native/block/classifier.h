// The end of a classifier: what is read of one token of each text (Final), through dense layers to logits.
#pragma once
#include <vector>

#include "block/final.h"

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
  Mat logits(const Pass&, const Final&, const Stream&, const Pooled&) const;
  // Of these logits: loss_sum += the texts' losses, in the backend's memory. Of Mode::train the stream's gradient, and the gradients of the
  // layers, too: the pass's scale and the dynamic one (as HeadArgs') times that sum's.
  void loss(const Pass&, const Final&, const Stream&, const Pooled&, const Mat& logits, const double* dynamic_scale, double* loss_sum) const;

 private:
  struct Layer {
    Rows d, y, dx;  // (N, I), (N, O), (N, I) f32: its input as it is read, its output, its input's gradient
  };
  Rows x_;  // (N, E) f32: the first layer's input
  std::vector<Layer> layers_;
};

}  // namespace lowrank
