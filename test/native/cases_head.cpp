// The sweeps over the head.
#include "cases.h"
#include "random.h"

namespace lowrank::test {

namespace {

Case head(DType act, DType weight, int64_t rows, int64_t dim, int64_t vocab, Random& r) {
  Case c;
  c.op = "head";
  c.act = act;
  c.weight = weight;
  c.rows = rows;
  c.in = dim;
  c.features = vocab;
  c.ld_pad = r.pick({0, 0, 1, 16});
  c.misalign = r.pick({0, 1, 2, 3});
  c.roomy = r.below(4) == 0;
  c.optional = r.below(4) != 0;
  c.bias = r.below(4) == 0;
  c.exact = r.below(4) != 0;
  c.size = r.pick({1.f, 1.f, 4.f});
  return c;
}

}  // namespace

void add_head_cases(std::vector<Case>& cases) {
  Random r(5);
  for (const DType act : kActs) {
    for (const DType weight : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t rows : {1, 2, 3, 5, 31, 33, 97}) {
        cases.push_back(head(act, weight, rows, r.pick({8, 33, 64}), r.pick({7, 40, 97}), r));
      }
      for (const int64_t vocab : {1, 2, 7, 31, 32, 33, 97, 250, 1024, 1025}) {
        cases.push_back(head(act, weight, r.pick({2, 5, 9}), r.pick({1, 8, 33}), vocab, r));
      }
      for (const int64_t dim : {1, 7, 31, 33, 577})
        cases.push_back(head(act, weight, r.pick({1, 4, 6}), dim, r.pick({33, 97}), r));
    }
    // The gradient's contraction is longer than the part that is packed in one go.
    Case lengthy = head(act, DType::bf16, 5, 8, 16 * 1024 + 37, r);
    lengthy.optional = true;
    cases.push_back(lengthy);
    // Rows that do not fill a chunk of logits (48 MiB, at least 32 rows).
    Case chunks = head(act, DType::bf16, 33, 2, act == DType::f32 ? 131100 : 262200, r);
    chunks.optional = chunks.heavy = true;
    chunks.roomy = false;
    cases.push_back(chunks);
  }
  for (const DType act : kActs) {
    for (const float cap : {0.5f, 3.f, 30.f}) {
      cases.push_back(head(act, DType::f32, r.pick({2, 33}), r.pick({8, 33}), r.pick({7, 97, 1025}), r));
      cases.back().cap = cap;
      cases.back().optional = true;
    }
  }
  for (const DType act : kActs) {
    for (const Format f : kQuantized) {
      Case c = head(act, DType::f32, r.pick({3, 5, 33}), std::max<int64_t>(64, format_info(f).block), r.pick({7, 40, 97}), r);
      c.stored.format = f;
      cases.push_back(c);
    }
  }
  for (const DType act : kActs) {
    for (const int64_t vocab : {1, 7, 97, 1025, 5000}) {
      for (const int64_t rows : {1, 5, 33, 97}) {
        if (vocab * rows > 200000) continue;
        Case c = head(act, DType::f32, rows, r.pick({1, 8, 33}), vocab, r);
        c.optional = c.trains = true;
        c.cap = r.below(4) == 0 ? 3.f : 0.f;
        cases.push_back(c);
      }
    }
  }
  for (const DType act : kActs) {
    for (const int64_t vocab : {1, 7, 97, 1025, 5000}) {
      for (const int64_t rows : {1, 5, 33}) {
        Case c = head(act, r.pick({DType::f32, DType::bf16}), rows, r.pick({1, 8, 33}), vocab, r);
        c.bias = false;
        c.replaced = std::min<int64_t>(vocab, r.pick({1, 3, 17}));
        c.optional = c.trains = r.below(4) != 0;
        c.cap = r.below(4) == 0 ? 3.f : 0.f;
        cases.push_back(c);
      }
    }
  }
  for (const int64_t vocab : {2, 9, 40}) {
    Case c = head(DType::f32, DType::f32, 3, 5, vocab, r);
    c.optional = c.gradient = true;
    c.size = 1;
    cases.push_back(c);
    c.trains = c.bias = true;
    c.weight = DType::f32;
    c.stored = {};
    cases.push_back(c);
    c.cap = 0.8f;
    cases.push_back(c);
    c.bias = false;
    c.replaced = 2;
    cases.push_back(c);
  }
}

}  // namespace lowrank::test
