// Linears of every rank that adapters have, 1 to 256, and of every format. A device that computes them with the adapter's columns beside the weight's has
// these behind rows of any length, and sums whose number of terms is no multiple of 8; it does so where there are as many outputs as inputs.
#include "cases.h"
#include "random.h"

namespace lowrank::test {

void add_rank_cases(std::vector<Case>& cases) {
  Random r(11);
  const auto add = [&](const char* op, DType act, const StoredAs& stored, DType weight, int64_t rank, int64_t in) {
    Case c;
    c.op = op;
    c.act = act;
    c.weight = weight;
    c.stored = stored;
    c.out = r.below(4) == 0 ? DType::f32 : act;
    c.rows = in < 256 ? r.pick({17, 18, 33}) : rank < 256 ? 17 : 5;
    c.in = in;
    c.features = in + r.pick({0, 7, 8});
    c.rank = rank;
    c.bias = r.below(4) == 0;
    c.accumulate = r.below(4) == 0;
    c.ld_pad = r.pick({0, 3, 8});
    c.roomy = r.coin();
    if (r.below(4) == 0) c.dropout = {0.3f, r.next(), r.next(), uint64_t(r.pick({0, 4, 1001}))};
    if (c.dropout.active() && rank > 1 && r.coin()) c.undropped = rank / 2;
    cases.push_back(c);
  };
  for (const DType act : kActs) {
    for (const int64_t rank : {1, 3, 8, 16, 64, 256}) {
      for (const char* op : {"linear_fwd", "linear_bwd"}) {
        for (const DType weight : kActs) {
          for (const int64_t in : {33, 64}) add(op, act, {}, weight, rank, in);
        }
      }
      for (const Format f : kQuantized) {
        const bool in_blocks = !is_four_bit(f) && f != Format::i8;
        add("linear_fwd", act, {.format = f, .nested = is_four_bit(f) && r.coin()}, DType::f32, rank, in_blocks ? format_info(f).block : r.pick({40, 61}));
      }
    }
  }
}

}  // namespace lowrank::test
