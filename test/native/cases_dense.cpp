// The sweeps over layers and losses of classifiers.
#include "cases.h"
#include "random.h"

namespace lowrank::test {

void add_dense_cases(std::vector<Case>& cases) {
  Random r(7);
  const auto dense = [&](const char* op, int64_t rows, int64_t in, int64_t out) {
    Case c;
    c.op = op;
    c.rows = rows;
    c.in = in;
    c.features = out;
    c.ld_pad = r.pick({0, 1, 3});
    c.bias = r.below(3) != 0;
    c.optional = r.below(4) != 0;
    if (r.below(2) == 0) c.dropout = {0.2f, 11, 3, uint64_t(r.below(5))};
    return c;
  };
  for (const char* op : {"dense_fwd", "dense_bwd"}) {
    for (const HeadFunction f : {HeadFunction::none, HeadFunction::tanh, HeadFunction::relu}) {
      for (const int64_t in : kTails) {
        Case c = dense(op, r.pick({1, 2, 5}), in, r.pick({1, 2, 7}));
        c.function = f;
        cases.push_back(c);
      }
      Case large = dense(op, 33, 577, 130);
      large.function = f;
      cases.push_back(large);
    }
  }
  // Finite differences: not of relu, which has an edge.
  for (const HeadFunction f : {HeadFunction::none, HeadFunction::tanh}) {
    for (const bool drops : {false, true}) {
      Case c = dense("dense_bwd", 3, 5, 2);
      c.function = f;
      c.bias = c.optional = c.gradient = true;
      c.dropout = {};
      if (drops) c.dropout = {0.3f, 5, 2, 0};
      cases.push_back(c);
    }
  }
  for (const LabelLoss loss : {LabelLoss::single_label_classification, LabelLoss::regression, LabelLoss::multi_label_classification}) {
    for (const int64_t classes : {1, 2, 3, 17, 64}) {
      for (const bool optional : {false, true}) {
        Case c = dense("label_loss", r.pick({1, 3, 9}), 1, classes);
        c.loss = loss;
        c.optional = optional;
        c.dropout = {};
        c.size = r.pick({1.f, 4.f});
        c.gradient = optional && classes <= 3 && c.size < 2;
        cases.push_back(c);
      }
    }
  }
}

}  // namespace lowrank::test
