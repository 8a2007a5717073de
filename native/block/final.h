// What head and classifier read: some rows of the stream through the final norm, and through the final linear where there is one.
#pragma once
#include "block/linears.h"
#include "block/norm.h"
#include "block/stream.h"

namespace lowrank {

class Final {
 public:
  // ranks: the largest of the linear, as Linears' place takes them.
  void place(Place&, const ModelSpec&, std::span<const int64_t> ranks, bool dora, const Linears::Shared&);
  // rows: (n) of the stream, in the backend's memory. Returns (n, ModelSpec::read_dim()): act, or f32 of a classifier's linear.
  Mat forward(const Pass&, const Stream&, const int32_t* rows, int64_t n) const;
  // Of dy, the gradient of that (n, read_dim()) f32: the stream's gradient.
  void backward(const Pass&, const Stream&, const int32_t* rows, const Mat& dy) const;
  // The same of rows of the stream; nothing is kept. h: (n, C) act, used up
  Mat once(const Pass&, const Mat& x, const Mat& h) const;

 private:
  Mat through_linear(const Pass&, const Mat& h) const;

  Rows x_, h_;              // (N, C) f32, then its gradient; (N, C) act
  Rows y_, rounded_, dh_;  // of the linear: (N, E) its output; (N, E) act: its output's gradient; (N, C) f32: its input's gradient
  Norm norm_;
  Linears linear_;
};

}  // namespace lowrank
