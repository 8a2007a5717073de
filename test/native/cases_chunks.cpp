// Linears with more rows than a device takes at a time (2,048): what is kept for a row (a mask, a maximum of LLM.int8, a row of u) is that of its number
// among all rows, and a sum over the rows goes on. The last chunk is full, or ends within 16 rows. And linears with long contractions.
#include <utility>

#include "cases.h"
#include "random.h"

namespace lowrank::test {

void add_chunk_cases(std::vector<Case>& cases) {
  Random r(9);
  const auto add = [&](const char* op, DType act, const StoredAs& stored, int64_t rows) {
    Case c;
    c.op = op;
    c.act = act;
    c.weight = act;
    c.stored = stored;
    c.out = r.coin() ? act : DType::f32;
    c.rows = rows;
    c.in = r.pick({15, 16, 32});
    c.features = r.pick({5, 8});
    c.rank = r.pick({0, 2, 3});
    c.bias = r.coin();
    c.accumulate = r.coin();
    c.ld_pad = r.pick({0, 1, 8});
    if (c.rank && r.coin()) c.dropout = {0.3f, r.next(), r.next(), uint64_t(r.pick({0, 4, 1001}))};
    if (c.dropout.active() && r.coin()) c.undropped = 1;
    if (c.op == "linear_bwd") {
      c.in = r.pick({15, 16});
      c.also = int(r.below(2));
    }
    cases.push_back(c);
  };
  for (const char* op : {"linear_fwd", "linear_bwd"}) {
    for (const DType act : kActs) {
      for (const float threshold : {2.f, 1.f, 0.01f}) {  // no outliers, columns that hold 1 once rounded, all
        for (const int64_t rows : {2049, 2064, 2081, 4096, 4099}) add(op, act, {.format = Format::i8, .threshold = threshold}, rows);
      }
      for (const int64_t rows : {2049, 2081, 4099}) {
        add(op, act, {}, rows);
        add(op, act, {.format = Format::nf4, .block_size = 64}, rows);
      }
    }
  }
  // Contractions over more columns, or outputs, than an MLP of any published model has.
  for (const DType act : kActs) {
    for (const int64_t length : {50'016, 262'150}) {
      for (const DType out : {act, DType::f32}) {
        if (length > 100'000 && out != act) continue;
        Case c;
        c.heavy = length > 100'000;
        c.act = c.weight = act;
        c.out = out;
        c.rows = 8;
        c.in = length;
        c.features = 33;
        c.rank = 2;
        c.op = "linear_fwd";
        cases.push_back(c);
        c.op = "linear_bwd";
        std::swap(c.in, c.features);
        cases.push_back(c);
      }
    }
  }
}

}  // namespace lowrank::test
