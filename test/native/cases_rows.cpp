// The sweeps over the operations that work row by row.
#include "cases.h"
#include "random.h"

namespace lowrank::test {

namespace {

Case sized(const char* op, DType act, int64_t rows, int64_t cols, Random& r) {
  Case c;
  c.op = op;
  c.act = act;
  c.rows = rows;
  c.in = cols;
  c.ld_pad = r.pick({0, 1, 3, 16});
  return c;
}

// f(act, rows, cols): widths around the vectors, and enough rows for several tasks.
template <class F>
void for_sizes(Random& r, F&& f) {
  for (const DType act : kActs) {
    for (const int64_t cols : kTails) f(act, r.pick({1, 2, 5}), cols);
    f(act, 3, int64_t(577));
    f(act, 2, int64_t(1409));
    f(act, 600, int64_t(33));
  }
}

void add_norm(std::vector<Case>& cases, Random& r) {
  for (const char* op : {"norm_fwd", "norm_apply", "norm_bwd"}) {
    for_sizes(r, [&](DType act, int64_t rows, int64_t cols) {
      Case c = sized(op, act, rows, cols, r);
      c.optional = r.below(3) != 0;
      c.gradient = act == DType::f32 && rows * cols < 40 && c.op == "norm_bwd";
      cases.push_back(c);
      c.centred = true;
      c.bias = r.coin();
      cases.push_back(c);
    });
  }
  // Mean squares next to eps and far above it.
  for (const float size : {1e-3f, 1e3f}) {
    Case c = sized("norm_fwd", DType::f32, 2, 65, r);
    c.size = size;
    cases.push_back(c);
    c.centred = c.bias = true;
    cases.push_back(c);
  }
}

void add_inner_norm(std::vector<Case>& cases, Random& r) {
  for (const char* op : {"inner_norm_fwd", "inner_norm_bwd"}) {
    for (const DType act : kActs) {
      for (const int64_t dim : {1, 7, 16, 33, 64, 128, 577}) {
        Case c = sized(op, act, r.pick({1, 3, 40}), 1, r);
        c.features = r.pick({0, 3});
        c.heads = r.pick({1, 2, 6});
        c.kv_heads = c.heads % 2 == 0 ? r.pick({1, 2}) : 1;
        c.head_dim = dim;
        c.optional = r.coin();
        c.accumulate = c.op == "inner_norm_fwd" && r.coin();
        c.out = r.pick({act, DType::f32});
        c.gradient = c.op == "inner_norm_bwd" && act == DType::f32 && dim < 20;
        if (c.gradient) c.features = 0;
        cases.push_back(c);
        c.centred = true;
        c.bias = c.op == "inner_norm_fwd" && r.coin();
        c.each = r.coin();
        cases.push_back(c);
      }
    }
  }
}

void add_caps(std::vector<Case>& cases, Random& r) {
  for (const float cap : {0.5f, 30.f}) {
    for (const int64_t cols : kTails) {
      Case c = sized("soft_cap", DType::f32, r.pick({1, 3}), cols, r);
      c.cap = cap;
      c.size = r.pick({1.f, 100.f});
      cases.push_back(c);
    }
  }
}

void add_rope(std::vector<Case>& cases, Random& r) {
  for (const DType act : kActs) {
    for (const int64_t dim : {2, 6, 8, 20, 30, 34, 64, 80, 128}) {
      for (const bool inverse : {false, true}) {
        Case c = sized("rope", act, r.pick({1, 3, 9}), 1, r);
        c.head_dim = dim;
        c.heads = r.pick({1, 2, 3, 9});
        c.inverse = inverse;
        c.gradient = inverse && act == DType::f32 && dim <= 20;
        cases.push_back(c);
      }
    }
    for (const int64_t rotary : {2, 6, 16, 20}) {
      for (const bool interleaved : {false, true}) {
        Case c = sized("rope", act, r.pick({1, 9}), 1, r);
        c.head_dim = 20;
        c.rotary = rotary;
        c.interleaved = interleaved;
        c.heads = r.pick({1, 3});
        c.inverse = r.coin();
        c.gradient = c.inverse && act == DType::f32;
        cases.push_back(c);
      }
    }
    Case c = sized("rope", act, 400, 1, r);
    c.head_dim = 20;
    c.heads = 3;
    cases.push_back(c);
    for (const HeadLayout layout : kFusedLayouts) {
      for (const auto& [heads, kv_heads] : {std::pair<int64_t, int64_t>{3, 3}, {3, 1}, {6, 2}}) {
        Case fused = sized("rope", act, r.pick({1, 3, 9}), 1, r);
        fused.layout = layout;
        fused.heads = heads;
        fused.kv_heads = kv_heads;
        fused.head_dim = r.pick({2, 6, 20, 64});
        fused.inverse = r.coin();
        fused.gradient = fused.inverse && act == DType::f32;
        cases.push_back(fused);
      }
    }
  }
}

void add_glu(std::vector<Case>& cases, Random& r) {
  for (const char* op : {"glu_fwd", "glu_bwd"}) {
    for_sizes(r, [&](DType act, int64_t rows, int64_t cols) {
      Case c = sized(op, act, rows, cols, r);
      // Gates where e^-g neither vanishes nor overflows, and where it does.
      c.size = r.pick({1.f, 4.f, 100.f});
      if (c.op == "glu_bwd") c.alias = r.pick({Alias::none, Alias::dg_is_da, Alias::dg_is_g_and_du_is_u});
      c.gradient = c.op == "glu_bwd" && act == DType::f32 && rows * cols < 40 && c.size < 5;
      cases.push_back(c);
      for (const Activation f : {Activation::gelu, Activation::gelu_tanh, Activation::relu}) {
        c.activation = f;
        c.gated = r.coin();
        c.gradient = c.gradient && f != Activation::relu;  // its derivative jumps
        cases.push_back(c);
      }
    });
    for (const Alias alias : {Alias::dg_is_da, Alias::dg_is_g_and_du_is_u}) {
      if (std::string(op) == "glu_fwd") continue;
      for (const DType act : kActs) {
        Case c = sized(op, act, 3, 97, r);
        c.alias = alias;
        cases.push_back(c);
      }
    }
  }
}

void add_copies(std::vector<Case>& cases, Random& r) {
  for (const Format f : kQuantized) {
    Case c = sized("embedding_fwd", DType::f32, 7, f == Format::nf4 || f == Format::i8 ? 45 : 512, r);
    c.stored.format = f;
    c.features = 24;
    c.misalign = r.pick({0, 1, 2, 3});
    cases.push_back(c);
    c.accumulate = true;
    cases.push_back(c);
  }
  for_sizes(r, [&](DType act, int64_t rows, int64_t cols) {
    for (const DType weight : {DType::f32, DType::bf16, DType::f16}) {
      Case c = sized("embedding_fwd", DType::f32, rows, cols, r);
      c.weight = weight;
      c.exact = false;
      c.features = r.pick({1, 5, 40});
      c.misalign = r.pick({0, 1, 2, 3});
      c.accumulate = r.coin();
      cases.push_back(c);
      if (cols % 2 == 0) continue;
      c.factor = 5.66f;
      cases.push_back(c);
    }
    for (const int64_t words : {1, 7, 300}) {
      Case c = sized("embedding_bwd", DType::f32, rows, cols, r);
      c.features = words;
      c.factor = words == 7 ? 5.66f : 1.f;
      cases.push_back(c);
    }
    Case c = sized("cast", act, rows, cols, r);
    for (const DType out : kActs) {
      if (out != act && out != DType::f32 && act != DType::f32) continue;
      c.out = out;
      cases.push_back(c);
      if (cols % 2 == 0) continue;
      Case scaled = c;
      scaled.factor = 0.3f;
      scaled.accumulate = out == DType::f32 && r.coin();
      cases.push_back(scaled);
    }
    c = sized("gather_rows", act, rows, cols, r);
    c.features = r.pick({1, 4, 50});
    cases.push_back(c);
    c = sized("scatter_rows", act, rows, cols, r);
    c.features = 601;  // prime, and more than any rows here: every row goes to a place of its own
    cases.push_back(c);
    cases.push_back(sized("zero", act, rows, cols, r));
  });
}

void add_columns(std::vector<Case>& cases, Random& r) {
  for_sizes(r, [&](DType act, int64_t rows, int64_t cols) {
    for (const char* op : {"columns_fwd", "columns_bwd"}) {
      Case c = sized(op, act, rows, cols, r);
      c.out = r.coin() ? act : DType::f32;
      c.optional = r.below(4) != 0;
      c.bias = !c.optional || r.coin();
      c.accumulate = !c.optional || r.coin();
      c.gradient = c.op == "columns_bwd" && act == DType::f32 && rows * cols < 40;
      cases.push_back(c);
    }
    for (const bool rest : {false, true}) {
      Case c = sized("dropout", act, rows, cols, r);
      c.weight = r.coin() ? act : DType::f32;
      c.out = r.coin() ? act : DType::f32;
      c.rest = rest;
      c.accumulate = r.coin();
      if (!c.accumulate && c.weight == c.out && r.coin()) c.alias = Alias::y_is_x;
      c.dropout = {r.pick({0.1f, 0.5f}), r.next(), r.next(), uint64_t(r.pick({0, 1, 2, 3, 4, 4096, 1001}))};
      cases.push_back(c);
      if (act != DType::f32 || rows * cols >= 40) continue;
      c.accumulate = false;
      c.gradient = true;
      c.alias = Alias::none;
      cases.push_back(c);
    }
    if (act != DType::f32) return;
    Case c = sized("add_noise", act, rows, cols, r);
    c.ld_pad = 0;
    c.dropout = {0, r.next(), r.next(), uint64_t(r.pick({0, 1, 2, 3, 4, 4096, 1001}))};
    cases.push_back(c);
  });
  const auto norms = [&](int64_t in, int64_t features, int64_t rank) {
    Case c = sized("row_norms", DType::f32, 1, in, r);
    c.features = features;
    c.rank = rank;
    c.exact = false;
    c.optional = r.below(4) != 0;
    return c;
  };
  for (const DType weight : {DType::f32, DType::bf16, DType::f16}) {
    for (const int64_t n : kTails) {
      Case c = norms(n, r.pick({1, 5, 40}), r.pick({1, 4, 5, 33}));
      c.weight = weight;
      c.misalign = r.pick({0, 1, 2, 3});
      cases.push_back(c);
    }
  }
  for (const Format f : kQuantized) {
    Case c = norms(f == Format::nf4 || f == Format::i8 ? 45 : 512, 24, 4);
    c.stored.format = f;
    cases.push_back(c);
  }
}

}  // namespace

void add_row_cases(std::vector<Case>& cases) {
  Random r(3);
  add_norm(cases, r);
  add_inner_norm(cases, r);
  add_caps(cases, r);
  add_rope(cases, r);
  add_glu(cases, r);
  add_copies(cases, r);
  add_columns(cases, r);
}

void add_optimizer_cases(std::vector<Case>& cases) {
  for (const int64_t n : {1, 3, 7, 15, 16, 17, 33, 1000, 64 * 1024, 64 * 1024 + 1, 200001}) {
    for (const int64_t step : {1, 2, 1000}) {
      Case c;
      c.op = "adamw";
      c.in = n;
      c.step = step;
      cases.push_back(c);
    }
  }
  for (const int64_t n : {1, 3, 7, 8, 15, 16, 17, 255, 256, 257, 1023, 1024, 1025, 64 * 1024, 64 * 1024 + 1, 200001}) {
    Case c;
    c.op = "clip";
    c.in = n;
    cases.push_back(c);
  }
}

}  // namespace lowrank::test
